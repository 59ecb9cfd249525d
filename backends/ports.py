"""TCP ports: pick a free one, or make sure that a wanted one is free."""

import random
import socket

PORTS_TO_PICK_FROM = range(20_000, 32_000)  # below the ports that Linux hands to outgoing connections


def resolve_port(host: str, port: int, option: str) -> int:
    """`port` itself if it is free, or any free port for 0. `option` is the flag that the error tells to change."""
    if port == 0:
        return next(port for port in random.sample(PORTS_TO_PICK_FROM, 1000) if is_free(host, port))
    if not is_free(host, port):
        raise OSError(f"{host}:{port} is not available; choose another port with {option} (0 picks a free one)")
    return port


def is_free(host: str, port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
        return True
