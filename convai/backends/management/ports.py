"""TCP ports: pick free ones, or make sure that the wanted ones are free."""

import random
import socket

from convai.errors import InvalidArgument

PORTS_TO_PICK_FROM = range(20_000, 32_000)  # below the ports that Linux hands to outgoing connections
PORTS = range(2**16)


def resolve_ports(host: str, wanted: dict[str, int]) -> list[int]:
    """For each wanted port that port if it is free, or one that is for 0. The keys are the flags that set them."""
    check_host(host)
    taken = set()
    for option, port in wanted.items():
        if port not in PORTS:
            raise InvalidArgument(f"{option} is {port}; allowed is 0 (picks a free one) to {PORTS[-1]}")
        if port in taken or (port and not is_free(host, port)):
            raise OSError(f"{host}:{port} is not available; choose another port with {option} (0 picks a free one)")
        taken |= {port} - {0}
    candidates = random.sample(PORTS_TO_PICK_FROM, len(PORTS_TO_PICK_FROM))
    free = (port for port in candidates if port not in taken and is_free(host, port))
    return [port or next(free) for port in wanted.values()]


def check_host(host: str) -> None:
    """Raise OSError unless a server can listen on the address."""
    with socket.socket() as listener:
        try:
            listener.bind((host, 0))
        except OSError as error:
            raise OSError(
                f"{host} is not available ({error.strerror}); choose an IPv4 address of this machine with --host"
            ) from error


def is_free(host: str, port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
        return True
