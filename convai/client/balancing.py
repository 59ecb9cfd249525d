"""How a client spreads its requests over several servers: all of it is gRPC's own, told by its service configuration.

Requests go around the servers that are connected. One that no server answered is sent to the next, which is safe
because answering changes nothing on a server. The caller's time limit counts all attempts together.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

from tritonclient.grpc import MAX_GRPC_MESSAGE_SIZE

from convai.errors import InvalidArgument

ATTEMPTS = 5  # the most that gRPC allows
# Two seconds for all pauses: on busy machines it may take one until more than the server that refuses is connected.
FIRST_PAUSE_SECONDS = 0.05
PAUSE_GROWTH = 3
LONGEST_PAUSE_SECONDS = 2
RETRIED_STATUSES = (
    "UNAVAILABLE",  # the connection failed, the queue is full, or Triton is stopping
    "NOT_FOUND",  # Triton unloads its models when it stops
)
# A failed attempt costs a token, and below half of them nothing is retried. An answer earns as many as attempts may
# fail before it: a server refuses at once while others still work, so one of three used up all tokens when an answer
# earned one. Where all servers refuse, retries end after 500 failed attempts.
RETRY_TOKENS = 1000
TOKENS_PER_ANSWER = ATTEMPTS - 1
# Together, within 5 s of a request nobody waits for a server any more that is frozen or cut off.
KEEPALIVE_SECONDS = 1.5
KEEPALIVE_TIMEOUT_SECONDS = 3.0
RECONNECT_SECONDS = 0.5
MAX_RECONNECT_SECONDS = 3.0  # how long a server that is back may wait to be noticed
LOOKUP_SECONDS = 3.0  # at least so long between two questions to the DNS
LARGEST_RETRIED_BYTES = 16 * 2**20  # gRPC's 256 KiB hold 4 s of sound

LIST_SCHEME = "ipv4:"
DNS_TARGET = re.compile(r"dns://[^/]*/[^/:]+:\d+")


def is_balanced(address: str | Sequence[str]) -> bool:
    """Whether `address` may stand for several servers."""
    return not isinstance(address, str) or "," in address or address.startswith("dns:")


def balanced_target(address: str | Sequence[str]) -> str:
    """gRPC's name for several servers, given as a DNS target or as the address of each."""
    if isinstance(address, str) and address.startswith("dns:"):
        if not DNS_TARGET.fullmatch(address):
            raise InvalidArgument(f"address {address!r} is no DNS target; an example is 'dns:///convai:8001'")
        return address
    addresses = address.split(",") if isinstance(address, str) else list(address)
    if not addresses:
        raise InvalidArgument("there is no address; give that of at least one server")
    return LIST_SCHEME + ",".join(map(ipv4_address, addresses))


def ipv4_address(address: str) -> str:
    host, _, port = address.strip().rpartition(":")
    parts = host.split(".")
    is_host = len(parts) == 4 and all(part.isdecimal() and int(part) < 256 for part in parts)
    if not is_host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidArgument(
            f"address {address!r} is not one of several servers; each is an IPv4 address with its port, like"
            " '10.0.0.1:8001', and names of machines belong behind one DNS name, like 'dns:///convai:8001'"
        )
    return f"{host}:{port}"


def channel_arguments(retry: bool, server_name: str | None) -> list[tuple[str, str | int]]:
    """Options of gRPC's channel; `server_name` is what the certificates of all servers must be for."""
    arguments: list[tuple[str, str | int]] = [
        ("grpc.max_send_message_length", MAX_GRPC_MESSAGE_SIZE),
        ("grpc.max_receive_message_length", MAX_GRPC_MESSAGE_SIZE),
        ("grpc.service_config", json.dumps(service_config())),
        ("grpc.enable_retries", int(retry)),
        ("grpc.per_rpc_retry_buffer_size", LARGEST_RETRIED_BYTES),
        ("grpc.keepalive_time_ms", milliseconds(KEEPALIVE_SECONDS)),
        ("grpc.keepalive_timeout_ms", milliseconds(KEEPALIVE_TIMEOUT_SECONDS)),
        ("grpc.http2.ping_timeout_ms", milliseconds(KEEPALIVE_TIMEOUT_SECONDS)),  # counts for keepalives too
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", milliseconds(RECONNECT_SECONDS)),
        ("grpc.min_reconnect_backoff_ms", milliseconds(MAX_RECONNECT_SECONDS)),
        ("grpc.max_reconnect_backoff_ms", milliseconds(MAX_RECONNECT_SECONDS)),
        ("grpc.dns_min_time_between_resolutions_ms", milliseconds(LOOKUP_SECONDS)),
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


def milliseconds(seconds: float) -> int:
    return round(1000 * seconds)
