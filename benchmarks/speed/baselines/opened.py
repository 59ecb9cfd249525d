"""Starts each rival, and opens the path to it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from importlib.util import find_spec

from benchmarks.speed.baselines.http_path import TIMEOUT_SECONDS, HttpPath
from benchmarks.speed.baselines.server_process import RivalServer, RivalSetup
from benchmarks.speed.paths import AnswerPath, EnsemblePath
from convai.client.client import ConvaiClient
from convai.errors import InvalidArgument


@contextmanager
def fastapi_path(setup: RivalSetup) -> Iterator[AnswerPath]:
    require("fastapi", "uvicorn")
    with started("fastapi", setup, setup.cores) as servers:
        yield HttpPath(servers)


@contextmanager
def ray_path(setup: RivalSetup) -> Iterator[AnswerPath]:
    require("ray")
    with started("ray", setup) as servers:
        yield HttpPath(servers)


class PyTritonPath(EnsemblePath):
    """PyTriton keeps its statistics to itself."""

    statistics = None

    def __init__(self, client: ConvaiClient, server: RivalServer):
        self.client = client
        self.processes = server.processes


@contextmanager
def pytriton_path(setup: RivalSetup) -> Iterator[AnswerPath]:
    with started("pytriton", setup) as (server,):
        with ConvaiClient(server.address, timeout_seconds=TIMEOUT_SECONDS) as client:
            yield PyTritonPath(client, server)


@contextmanager
def started(rival: str, setup: RivalSetup, count: int = 1) -> Iterator[list[RivalServer]]:
    """So many servers, started together."""
    with ExitStack() as stack:
        servers = [stack.enter_context(closing(RivalServer(rival, setup))) for _ in range(count)]
        for server in servers:
            server.wait_until_ready()
        yield servers


def require(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            raise InvalidArgument(f"{package} is not installed: pip install 'convai[rivals]'")


PATHS: Mapping[str, Callable[[RivalSetup], AbstractContextManager[AnswerPath]]] = {
    "fastapi": fastapi_path,
    "ray": ray_path,
    "pytriton": pytriton_path,
}
