"""Three servers on addresses of their own, and one fault after the other."""

import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.speed.chaos_faults import FAULTS, Stage, nothing
from benchmarks.speed.chaos_load import Load, Row, line, running
from benchmarks.speed.chaos_network import FAR, Cable, cable, is_own
from benchmarks.speed.chaos_questions import Ask, QuestionSet, written
from benchmarks.speed.chaos_server import ChaosServer, write_subset
from convai.backends.management.launcher import resolve_ports
from convai.client.answer import Answer
from convai.client.client import ConvaiClient

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


def run_faults(
    model_repository: Path, profile: str, load: Load, questions: QuestionSet, faults: Sequence[str]
) -> list[Row]:
    """A row for each fault; answers are right if they are those of a server to which nothing has happened yet."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        # The other caller's questions are always written ones.
        write_subset(model_repository, {questions.ensemble, written().ensemble}, Path(folder))
        stage = stage_of(Path(folder), profile, questions.ensemble, stack.enter_context(cable()) if is_own() else None)
        start_all(stage.servers, stack)
        addresses = [server.address for server in stage.servers]
        client = stack.enter_context(ConvaiClient(addresses, timeout_seconds=load.timeout_seconds))
        expected = [(ask, ask(client)) for ask in questions.questions]
        with running(client, expected, load) as log:
            nothing(stage, log)
        return [row_of(name, stage, client, expected, load, log.seconds()[-1]) for name in faults]


def stage_of(model_repository: Path, profile: str, ensemble: str, cable: Cable | None) -> Stage:
    (port,) = resolve_ports(HOSTS[0], {"--grpc-port": 0})
    *near, last = HOSTS
    servers = [ChaosServer(model_repository, profile, host, port) for host in near]
    if cable is None:
        return Stage([*servers, ChaosServer(model_repository, profile, last, port)], ensemble)
    return Stage([*servers, ChaosServer(model_repository, profile, FAR, port, cable.at_far_end)], ensemble, cable)


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
    stage: Stage,
    client: ConvaiClient,
    expected: Sequence[tuple[Ask, Answer]],
    load: Load,
    usual_seconds: float,
) -> Row:
    before = sum(server.left_behind for server in stage.servers)
    with running(client, expected, load, usual_seconds) as log:
        finding = FAULTS[fault].happen(stage, log)
    left_behind = sum(server.left_behind for server in stage.servers) - before
    row = Row(fault, log, left_behind, finding, FAULTS[fault].allowed_delay_seconds)
    print(line(row), file=sys.stderr, flush=True)
    return row
