"""Load balancing and retries over several servers, all done by gRPC as its service configuration says.

Requests go round-robin to the connected servers. A request that no server answered is retried on the next server, which
is safe because a request changes nothing on a server. The timeout covers all attempts together.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from tritonclient.grpc import MAX_GRPC_MESSAGE_SIZE

from convai.errors import InvalidArgument

ATTEMPTS = 5  # the most that gRPC allows
# The pauses add up to 2 s: on a busy machine it may take 1 s until more than the refusing server is connected.
FIRST_PAUSE_SECONDS = 0.05
PAUSE_GROWTH = 3
LONGEST_PAUSE_SECONDS = 2
RETRIED_STATUSES = (
    "UNAVAILABLE",  # the connection failed, the queue is full, or Triton is stopping
    "NOT_FOUND",  # Triton unloads its models when it stops
)
# A failed attempt costs 1 token; below half of the tokens gRPC stops retrying. An answer earns 4, because a full server
# refuses at once while the others compute: with 1 per answer, one full server of three used up all tokens. If all
# servers refuse, retries end after 500 failed attempts.
RETRY_TOKENS = 1000
TOKENS_PER_ANSWER = ATTEMPTS - 1
# Together they detect a frozen or disconnected server within 5 s of a request.
KEEPALIVE_SECONDS = 1.5
KEEPALIVE_TIMEOUT_SECONDS = 3.0
RECONNECT_SECONDS = 0.5
MAX_RECONNECT_SECONDS = 3.0  # a server that is back is used again within this time
LOOKUP_SECONDS = 3.0  # minimum time between two DNS queries
LARGEST_RETRIED_BYTES = 16 * 2**20  # gRPC's default of 256 KiB holds 4 s of audio

LIST_SCHEME = "ipv4:"
DNS_TARGET = re.compile(r"dns://[^/]*/[^/:]+:\d+")


def is_balanced(address: str | Sequence[str]) -> bool:
    """Return whether `address` names several servers, or may do so."""
    return not isinstance(address, str) or "," in address or address.startswith("dns:")


def balanced_target(address: str | Sequence[str]) -> str:
    """Return gRPC's target for several servers, given as a DNS target or as a list of addresses."""
    if isinstance(address, str) and address.startswith("dns:"):
        if not DNS_TARGET.fullmatch(address):
            raise InvalidArgument(f"address: expected a DNS target like 'dns:///convai:8001', got {address!r}")
        return address
    addresses = address.split(",") if isinstance(address, str) else list(address)
    if not addresses:
        raise InvalidArgument("address: expected at least one server, got an empty list")
    return LIST_SCHEME + ",".join(map(parse_ipv4_address, addresses))


def parse_ipv4_address(address: str) -> str:
    host, _, port = address.strip().rpartition(":")
    parts = host.split(".")
    is_ipv4 = len(parts) == 4 and all(part.isdecimal() and int(part) < 256 for part in parts)
    if not is_ipv4 or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidArgument(
            f"address: expected IPv4 addresses with ports for several servers, like '10.0.0.1:8001', got {address!r};"
            " for host names, use one DNS target, like 'dns:///convai:8001'"
        )
    return f"{host}:{port}"


def channel_arguments(retry: bool, server_name: str | None) -> list[tuple[str, str | int]]:
    """Return the options of gRPC's channel; `server_name` is the host name in the certificates of all servers."""
    arguments: list[tuple[str, str | int]] = [
        ("grpc.max_send_message_length", MAX_GRPC_MESSAGE_SIZE),
        ("grpc.max_receive_message_length", MAX_GRPC_MESSAGE_SIZE),
        ("grpc.service_config", json.dumps(service_config())),
        ("grpc.enable_retries", int(retry)),
        ("grpc.per_rpc_retry_buffer_size", LARGEST_RETRIED_BYTES),
        ("grpc.keepalive_time_ms", to_milliseconds(KEEPALIVE_SECONDS)),
        ("grpc.keepalive_timeout_ms", to_milliseconds(KEEPALIVE_TIMEOUT_SECONDS)),
        ("grpc.http2.ping_timeout_ms", to_milliseconds(KEEPALIVE_TIMEOUT_SECONDS)),  # counts for keepalives too
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", to_milliseconds(RECONNECT_SECONDS)),
        ("grpc.min_reconnect_backoff_ms", to_milliseconds(MAX_RECONNECT_SECONDS)),
        ("grpc.max_reconnect_backoff_ms", to_milliseconds(MAX_RECONNECT_SECONDS)),
        ("grpc.dns_min_time_between_resolutions_ms", to_milliseconds(LOOKUP_SECONDS)),
    ]
    return [*arguments, ("grpc.default_authority", server_name)] if server_name else arguments


def service_config() -> dict[str, Any]:
    retry_policy = {
        "maxAttempts": ATTEMPTS,
        "initialBackoff": f"{FIRST_PAUSE_SECONDS}s",
        "backoffMultiplier": PAUSE_GROWTH,
        "maxBackoff": f"{LONGEST_PAUSE_SECONDS}s",
        "retryableStatusCodes": list(RETRIED_STATUSES),
    }
    return {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [{"name": [{"service": "inference.GRPCInferenceService"}], "retryPolicy": retry_policy}],
        "retryThrottling": {"maxTokens": RETRY_TOKENS, "tokenRatio": TOKENS_PER_ANSWER},
    }


def to_milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
