"""Three servers on addresses of their own, and one fault after the other."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from convai.backends.management.ports import resolve_ports
from convai.benchmarks.speed.chaos_faults import ENSEMBLE, FAULTS, nothing
from convai.benchmarks.speed.chaos_load import QUESTION, Load, Row, running
from convai.benchmarks.speed.chaos_server import ChaosServer, write_subset
from convai.benchmarks.speed.question_set import default_contexts
from convai.client.client import ConvaiClient

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
CONTEXTS = 8  # of one sentence or three, which BERT reads quickly


def run_faults(model_repository: Path, profile: str, load: Load, faults: Sequence[str]) -> list[Row]:
    """A row for each fault; answers are right if they are those of a server to which nothing has happened yet."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        write_subset(model_repository, ENSEMBLE, Path(folder))
        (port,) = resolve_ports(HOSTS[0], {"--grpc-port": 0})
        servers = [ChaosServer(Path(folder), profile, host, port) for host in HOSTS]
        start_all(servers, stack)
        addresses = [server.address for server in servers]
        client = stack.enter_context(ConvaiClient(addresses, timeout_seconds=load.timeout_seconds))
        expected = {context: client.answer_text(QUESTION, context).answer for context in default_contexts()[:CONTEXTS]}
        with running(client, expected, load) as log:
            nothing(servers, log)
        usual_seconds = log.seconds()[-1]
        return [row_of(name, servers, client, expected, load, usual_seconds) for name in faults]


def start_all(servers: Sequence[ChaosServer], stack: ExitStack) -> None:
    """Start them side by side; whatever happens, those that started are stopped."""
    with ThreadPoolExecutor(len(servers)) as pool:
        starts = [pool.submit(server.start) for server in servers]
    for server, start in zip(servers, starts, strict=True):
        if start.exception() is None:
            stack.callback(server.stop)
    for start in starts:
        start.result()


def row_of(
    fault: str,
    servers: Sequence[ChaosServer],
    client: ConvaiClient,
    expected: Mapping[str, str | None],
    load: Load,
    usual_seconds: float,
) -> Row:
    print(f"{fault} ...", file=sys.stderr, flush=True)
    before = sum(server.left_behind for server in servers)
    with running(client, expected, load) as log:
        note = FAULTS[fault](servers, log)
    left_behind = sum(server.left_behind for server in servers) - before
    return Row(fault, tuple(log.asked), usual_seconds, left_behind, note)
