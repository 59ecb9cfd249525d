"""TCP ports: pick free ones, or make sure that the wanted ones are free."""

import random
import socket

PORTS_TO_PICK_FROM = range(20_000, 32_000)  # below the ports that Linux hands to outgoing connections


def resolve_ports(host: str, wanted: dict[str, int]) -> list[int]:
    """For each wanted port that port if it is free, or one that is for 0. The keys are the flags that set them."""
    free = (port for port in random.sample(PORTS_TO_PICK_FROM, len(PORTS_TO_PICK_FROM)) if is_free(host, port))
    for option, port in wanted.items():
        if port and not is_free(host, port):
            raise OSError(f"{host}:{port} is not available; choose another port with {option} (0 picks a free one)")
    return [port or next(free) for port in wanted.values()]


def is_free(host: str, port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
        return True
