"""Compare ways to share out the processors among the networks: threads of each run, and processes of each network.

python -m benchmarks.tuning.processes
python -m benchmarks.tuning.processes --variant as-it-is --variant jasper=1x1,bert=1x2,waveglow=1x2 --loads 1 8

A variant names networks with threads x processes, for instance bert=1x2; the others stay as the profile has them.
Each is served by itself, and all take turns, so that what else the machine does hits all alike.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tqdm import tqdm

from benchmarks.speed.closed_loop import Load, run_load
from benchmarks.speed.question_set import Question, default_questions
from benchmarks.speed.server_memory import memory_of, processor_seconds, with_children
from benchmarks.tables import as_table
from convai.backends.management.launcher import Server
from convai.client.client import ConvaiClient
from convai.description.pipeline import NETWORK_NAMES
from convai.errors import InvalidArgument
from convai.generator.profiles import PROFILES, Profile
from convai.generator.render import render
from convai.generator.settings import thread_parameters
from convai.program import run_program

AS_IT_IS = "as-it-is"
VARIANTS = (
    AS_IT_IS,
    "jasper=2x1,bert=2x1,waveglow=2x1",
    "jasper=2x1,bert=2x2,waveglow=1x2",
    "jasper=2x1,bert=1x2,waveglow=1x2",
    "jasper=1x1,bert=1x2,waveglow=1x2",
    "jasper=1x2,bert=1x2,waveglow=1x2",
)
WARM_UP_QUESTIONS = 8


@dataclass(frozen=True)
class Figures:
    """Of one variant under one load. Processor time is per answer, memory that of all processes of the server."""

    variant: str
    in_flight: int
    answers_per_second: float
    p50_seconds: float
    processor_seconds: float
    memory_bytes: float
    ready_seconds: float


def varied(profile: Profile, variant: str) -> Profile:
    """The profile with the threads and processes that a variant names."""
    if variant == AS_IT_IS:
        return profile
    settings = dict(profile.settings)
    for part in variant.split(","):
        match = re.fullmatch(r"(\w+)=(\d+)x(\d+)", part)
        if match is None or match[1] not in NETWORK_NAMES:
            raise InvalidArgument(f"--variant has {part!r}; allowed is {AS_IT_IS}, or parts like bert=1x2")
        own, threads, instances = settings[match[1]], int(match[2]), int(match[3])
        parameters = {**own.parameters, **thread_parameters(own.engine, threads)}
        settings[match[1]] = replace(own, instances=instances, parameters=parameters)
    return replace(profile, settings=settings)


def write_repository(folder: Path, model_repository: Path, profile: Profile) -> None:
    """A model repository with this profile's configurations around the files of another."""
    for name, text in render([profile]).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for model in folder.iterdir():
        (model / "1").symlink_to((model_repository / model.name / "1").resolve())


def measure(variant: str, folder: Path, profile: str, loads: Sequence[Load]) -> list[Figures]:
    """Serve one variant once, under each load."""
    questions = default_questions()
    start = time.monotonic()
    with Server(folder, profile=profile) as server, ConvaiClient(server.grpc_address, timeout_seconds=600) as client:
        ready_seconds = time.monotonic() - start

        def ask(question: Question) -> float:
            begin = time.perf_counter()
            client.ask(question.audio, sample_rate=question.sample_rate, context=question.context)
            return time.perf_counter() - begin

        for question in questions[:WARM_UP_QUESTIONS]:
            ask(question)
        return [figures(variant, load, ready_seconds, server.process.pid, ask, questions) for load in loads]


def figures(
    variant: str,
    load: Load,
    ready_seconds: float,
    pid: int,
    ask: Callable[[Question], float],
    questions: list[Question],
) -> Figures:
    before = processor_seconds(with_children(pid))
    outcome = run_load(ask, questions, load)
    spent = processor_seconds(with_children(pid)) - before
    memory = memory_of(with_children(pid))
    return Figures(
        variant,
        load.in_flight,
        outcome.answers_per_second,
        statistics.median(seconds for _, seconds in outcome.counted),
        spent / len(outcome.all_replies),
        memory.pss_bytes if memory else float("nan"),
        ready_seconds,
    )


def medians(measured: Sequence[Figures]) -> list[Figures]:
    groups: dict[tuple[str, int], list[Figures]] = {}
    for one in measured:
        groups.setdefault((one.variant, one.in_flight), []).append(one)
    columns = ("answers_per_second", "p50_seconds", "processor_seconds", "memory_bytes", "ready_seconds")
    return [
        Figures(*key, *(statistics.median(getattr(one, column) for one in group) for column in columns))
        for key, group in groups.items()
    ]


def table(found: Sequence[Figures]) -> str:
    """Throughput, latency and processor time as multiples of the first variant's under the same load."""
    first: Mapping[int, Figures] = {one.in_flight: one for one in reversed(found)}
    lines = [["variant", "in flight", "answers/s", "p50", "processor time", "p50 [ms]", "memory [MB]", "ready [s]"]]
    for one in sorted(found, key=lambda one: one.in_flight):
        base = first[one.in_flight]
        lines.append(
            [
                one.variant,
                str(one.in_flight),
                f"{one.answers_per_second / base.answers_per_second:.2f}x",
                f"{one.p50_seconds / base.p50_seconds:.2f}x",
                f"{one.processor_seconds / base.processor_seconds:.2f}x",
                f"{1000 * one.p50_seconds:.0f}",
                f"{one.memory_bytes / 1e6:.0f}",
                f"{one.ready_seconds:.1f}",
            ]
        )
    return as_table(lines)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tuning.processes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--variant", action="append", help="to compare, several times; the first is the measure")
    parser.add_argument("--loads", nargs="+", type=int, default=(1, 8), metavar="N", help="in flight, default 1 8")
    parser.add_argument("--requests", type=int, default=48, help="per round and load, default %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians count, default %(default)s")
    parser.add_argument("--profile", default="cpu", choices=PROFILES, help="default %(default)s")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    variants = args.variant or VARIANTS
    loads = [Load(in_flight, seconds=120, requests=args.requests) for in_flight in args.loads]
    measured: list[Figures] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, variant in enumerate(variants):
            profile = varied(PROFILES[args.profile], variant)
            write_repository(Path(folder) / str(number), args.model_repository, profile)
        turns = [turn for _ in range(args.rounds) for turn in enumerate(variants)]
        for number, variant in tqdm(turns, desc="measuring", mininterval=2):
            measured += measure(variant, Path(folder) / str(number), args.profile, loads)
    found = medians(measured)
    print(table(found))
    if args.json:
        args.json.write_text(json.dumps([asdict(one) for one in found], indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
