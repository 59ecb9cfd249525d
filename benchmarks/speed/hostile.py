"""Send hostile messages to every interface while a well-behaved client asks the example, and report what they cost.

python -m benchmarks.speed.hostile --messages 5000 --seed 7

Reports answers that a message must not get, processes that had to be restarted, tracebacks in the log, memory, and the
example's time beside that without the attack. Two attacks that nothing before Triton can refuse come last and are
counted apart.
"""

import argparse
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from socket import create_connection
from statistics import median
from tempfile import TemporaryFile
from threading import Event
from typing import IO
from urllib.request import urlopen

from websockets.exceptions import WebSocketException

from benchmarks.options import build_program_parser
from benchmarks.speed.chaos_load import EXAMPLES, Attempt, attempt_question, wait_until
from benchmarks.speed.hostile_messages import (
    HALF_A_BODY,
    SECONDS,
    SILENT_WEBSOCKET,
    Address,
    Attacks,
    GrpcAttacks,
    HttpAttacks,
    Odd,
    WebSocketAttacks,
    WyomingAttacks,
)
from benchmarks.speed.measured_server import list_process_tree, measure_pss
from benchmarks.speed.question_set import Question, read_questions
from convai.backends.management.launcher import resolve_ports
from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.client.errors import ConvaiError
from convai.program import run_program
from convai.tables import format_table

HOST = "127.0.0.1"
READY_SECONDS = 180
ALONE_SECONDS = 10.0
WARM_UP_MESSAGES = 200
HELD_CONNECTIONS = 200
UNREAD_STREAMS = 16
SHORT_TEXTS = 15
SETTLE_SECONDS = 2.0
WORKERS = 8
OUTCOMES = ("refused", "answered", "odd")
SHARES = {"gRPC": 5, "HTTP": 3, "WebSocket": 1, "Wyoming": 1}
LARGEST_GROWTH = 0.05
LARGEST_RATIO = 2.0  # of the example's median time
BACK_SECONDS = 120


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.speed.hostile", __doc__)
    parser.add_argument("--messages", type=int, default=2000, help="default %(default)s")
    parser.add_argument("--per-second", type=float, default=50.0, metavar="N", help="at most, default %(default)g")
    parser.add_argument("--seed", type=int, default=1, help="another one draws other messages, default %(default)s")
    parser.add_argument("--profile", default="cpu", help="default %(default)s")
    return parser


@dataclass
class Tally:
    """What the messages to one interface got."""

    outcomes: Counter[str] = field(default_factory=Counter)
    oddities: list[str] = field(default_factory=list)


class Example:
    """A well-behaved client, which asks an example over and over while the block runs, and the web process for a slot.

    Parameters
    ----------
    url : of the web process
    """

    def __init__(self, client: ConvaiClient, question: Question, url: str):
        self.client, self.question, self.url = client, question, url
        self.expected = self._ask(client)

    def _ask(self, client: ConvaiClient) -> Answer:
        try:
            urlopen(f"{self.url}/v1/models", timeout=SECONDS).close()
        except OSError as error:
            raise ConvaiError(f"the web process: {error}") from error
        return client.ask(self.question.audio, sample_rate=self.question.sample_rate, context=self.question.context)

    def attempt(self) -> Attempt:
        return attempt_question(self.client, self._ask, self.expected)

    @contextmanager
    def keep_asking(self) -> Iterator[list[Attempt]]:
        attempts: list[Attempt] = []
        is_over = Event()

        def work() -> None:
            while not is_over.is_set():
                attempts.append(self.attempt())

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            try:
                yield attempts
            finally:
                is_over.set()
        working.result()


@contextmanager
def hold_connections(web: Address, wyoming: Address) -> Iterator[None]:
    """Keep silent and half-sent connections open inside the block."""
    kinds = ((web, b""), (web, b"GET / HT"), (web, HALF_A_BODY), (web, SILENT_WEBSOCKET), (wyoming, b""))
    with ExitStack() as stack:
        for address, data in kinds * (HELD_CONNECTIONS // len(kinds)):
            stack.enter_context(create_connection(address, SECONDS)).sendall(data)
        yield


@contextmanager
def start_command(log: IO[str], *words: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Run a convai command inside the block; yield its process id, and what it has printed by the first word."""
    command = [sys.executable, "-m", "convai", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        lines: dict[str, str] = {}
        for line in process.stdout or ():
            label, _, rest = line.strip().partition(" ")
            lines[label] = rest.strip()
            if label.startswith("ready"):
                break
        yield process.pid, lines
    finally:
        process.terminate()
        process.wait(READY_SECONDS)


def attack(targets: Mapping[str, Attacks], messages: int, per_second: float, seed: int) -> dict[str, Tally]:
    """Send the messages at the given rate, and tally what they got, by interface."""
    tallies = {name: Tally() for name in targets}
    names = random.Random(seed).choices(list(targets), [SHARES[name] for name in targets], k=messages)
    start = time.monotonic()

    def send(number: int) -> None:
        time.sleep(max(0.0, start + number / per_second - time.monotonic()))
        target, tally = targets[names[number]], tallies[names[number]]
        message = target.draw(random.Random(f"{seed} {number}"))
        try:
            has_succeeded = target.send(message)
            if has_succeeded and message.is_invalid:
                raise Odd("it succeeded")
            tally.outcomes["answered" if has_succeeded else "refused"] += 1
        except (Odd, OSError, ValueError, WebSocketException) as error:
            tally.outcomes["odd"] += 1
            tally.oddities.append(f"{names[number]}, {message.kind}, message {number}: {error!r}"[:250])

    with ThreadPoolExecutor(WORKERS) as pool:
        for sent in [pool.submit(send, number) for number in range(messages)]:
            sent.result()
    return tallies


def send_crashes(target: GrpcAttacks, example: Example) -> list[str]:
    """Send the attacks that nothing can refuse, and measure how long the example is not answered."""
    lines = []
    for message in target.draw_crashes():
        start = time.monotonic()
        with suppress(Odd):
            target.send(message)
        is_back = wait_until(lambda: example.attempt().error is None, BACK_SECONDS)
        lines.append(f"known, {message.kind}: {'' if is_back else 'not '}back after {time.monotonic() - start:.1f} s")
    return lines


def measure_short_text(client: ConvaiClient) -> float:
    """Return the median time in seconds to speak a short text."""
    times = []
    for _ in range(SHORT_TEXTS):
        start = time.monotonic()
        client.speak("Hi.")
        times.append(time.monotonic() - start)
    return median(times)


def compare_unread(address: str, client: ConvaiClient, question: Question) -> str:
    """Report the time of a short text alone, and beside streams that nobody reads."""
    alone = measure_short_text(client)
    calls = [GrpcAttacks(address, question).open_unread_stream() for _ in range(UNREAD_STREAMS)]
    time.sleep(SETTLE_SECONDS)
    beside = measure_short_text(client)
    for call in calls:
        call.cancel()
    return f"a short text: {alone:.2f} s, beside {UNREAD_STREAMS} unread streams {beside:.2f} s"


def run(args: argparse.Namespace) -> int:
    question, (port,) = read_questions(EXAMPLES)[0], resolve_ports(HOST, {"--wyoming-port": 0})
    serve = ("serve", "--profile", args.profile, "--grpc-port", "0", "--metrics-port", "0")
    with ExitStack() as stack:
        log = stack.enter_context(TemporaryFile("w+"))
        serve_pid, printed = stack.enter_context(start_command(log, *serve))
        address = printed["gRPC"]
        talk = ("talk", "--server", address, "--port", "0", "--wyoming-port", str(port))
        talk_pid, printed = stack.enter_context(start_command(log, *talk))
        web = (HOST, int(printed["page"].rpartition(":")[2]))
        client = stack.enter_context(ConvaiClient(address, timeout_seconds=30))
        grpc_attacks, example = GrpcAttacks(address, question), Example(client, question, printed["page"])
        targets: dict[str, Attacks] = {
            "gRPC": grpc_attacks,
            "HTTP": HttpAttacks(web),
            "WebSocket": WebSocketAttacks(web),
            "Wyoming": WyomingAttacks((HOST, port)),
        }

        def list_processes() -> set[int]:
            return {*list_process_tree(serve_pid), *list_process_tree(talk_pid)}

        attack(targets, WARM_UP_MESSAGES, args.per_second, args.seed + 1)  # buffers have their size after it
        with example.keep_asking() as alone:
            time.sleep(ALONE_SECONDS)
        before, memory = list_processes(), measure_pss(list_processes()) or 0.0
        with example.keep_asking() as beside, hold_connections(web, (HOST, port)):
            tallies = attack(targets, args.messages, args.per_second, args.seed)
        growth = (measure_pss(list_processes()) or 0.0) / memory - 1
        restarts = len(before - list_processes())
        log.seek(0)
        tracebacks = log.read().count("Traceback (most recent call last)")
        unread = compare_unread(address, client, question)
        known = send_crashes(grpc_attacks, example)
    rows = [[name, *(str(tally.outcomes[outcome]) for outcome in OUTCOMES)] for name, tally in tallies.items()]
    print(format_table(["interface", *OUTCOMES], rows))
    ratio = median_seconds(beside) / median_seconds(alone)
    odd = [f"odd: {text}" for tally in tallies.values() for text in tally.oddities]
    failed = [f"failed: {attempt.error or attempt.wrong}" for attempt in beside if attempt.error or attempt.wrong]
    print(f"restarted processes: {restarts}; memory {memory / 1e6:,.0f} MB, {growth:+.1%}; tracebacks: {tracebacks}")
    asked = f"example: {len(beside)} asked, {len(failed)} failed; {median_seconds(beside):.2f} s,"
    print(f"{asked} {ratio:.1f} times that without the attack", *odd[:20], *failed[:5], unread, *known, sep="\n")
    return int(bool(odd or failed or restarts or tracebacks or growth > LARGEST_GROWTH or ratio > LARGEST_RATIO))


def median_seconds(attempts: Sequence[Attempt]) -> float:
    return median(attempt.seconds for attempt in attempts)


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


if __name__ == "__main__":
    sys.exit(main())
