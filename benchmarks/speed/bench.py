"""Measure processor time per answer, throughput and latency: the ensemble beside other ways to run the same steps.

python -m benchmarks.speed.bench --json build/speed.json --plot build/speed.png
python -m benchmarks.speed.bench --loads 1 8 --requests 24 --paths ensemble in-process
python -m benchmarks.speed.bench --baselines --paths ensemble
python -m benchmarks.speed.bench --compare 127.0.0.1:9001 --paths ensemble

Latency is that of NVIDIA SpeechSquad: from the end of the question to the first byte of the answer's audio. A question
is sent when it has ended, and its answer arrives whole, so latency is the time of one call.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from tqdm import tqdm

from benchmarks.options import add_json_option, add_server_options, build_program_parser, write_json
from benchmarks.speed.baselines import BASELINES, BaselineSetup
from benchmarks.speed.closed_loop import Load
from benchmarks.speed.figures import LoadFigures, measure_load
from benchmarks.speed.measured_server import open_server
from benchmarks.speed.paths import OUTPUTS, AnswerPath, Reply, is_same_answer, open_paths
from benchmarks.speed.question_set import Question, read_questions
from benchmarks.speed.report import BenchReport
from convai.client.steps import needed_calls, requests_between, times_between
from convai.description.recognisers import JASPER
from convai.errors import InvalidArgument
from convai.generator.profiles import PROFILES
from convai.program import run_program

PATHS = ("ensemble", "step-by-step", "in-process")
LOADS = (1, 2, 4, 8, 16)
STEPS = tuple(call.step for call in needed_calls("convai_ensemble", OUTPUTS, JASPER))


def build_parser() -> argparse.ArgumentParser:
    jasper_profiles = [name for name, one in PROFILES.items() if one.recogniser == JASPER]  # all paths run its steps
    parser = build_program_parser("benchmarks.speed.bench", __doc__)
    parser.add_argument("--paths", nargs="+", choices=PATHS, default=PATHS, help="paths to compare (default: all)")
    parser.add_argument(
        "--loads", nargs="+", type=int, default=LOADS, metavar="N", help="in flight, default 1 2 4 8 16"
    )
    parser.add_argument("--requests", type=int, default=48, help="measured per path and load, default %(default)s")
    parser.add_argument("--seconds", type=float, default=120.0, help="limit per path and load, default %(default)g")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of which to take medians, default %(default)s")
    parser.add_argument("--manifest", type=Path, help="questions of `evaluate speak` (default: 24 built-in questions)")
    parser.add_argument("--limit", type=int, metavar="N", help="use only the first N questions of the manifest")
    add_server_options(parser, jasper_profiles)
    parser.add_argument(
        "--compare", metavar="HOST:PORT", help="also measure this running server, for an A/B comparison"
    )
    parser.add_argument(
        "--baselines", nargs="*", choices=BASELINES, metavar="NAME", help=f"also {', '.join(BASELINES)} (default: all)"
    )
    parser.add_argument("--baseline-profile", choices=jasper_profiles, help="of the baselines (default: --profile)")
    parser.add_argument("--baseline-threads", type=int, default=1, help="of each network, default %(default)s")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="per call, default %(default)g")
    add_json_option(parser)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the figures (.png, .svg, .pdf)")
    return parser


def run(args: argparse.Namespace) -> None:
    for name in ("repeats", "limit", "baseline_threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise InvalidArgument(f"--{name.replace('_', '-')}: expected at least 1, got {getattr(args, name)}")
    report = measure(args, read_questions(args.manifest, args.limit))
    print(report.format())
    write_json(args.json, report.build_record())
    if args.plot:
        from benchmarks.speed.plot import plot_loads  # needs matplotlib

        plot_loads(args.plot, report.medians, report.title)


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def measure(args: argparse.Namespace, questions: Sequence[Question]) -> BenchReport:
    loads = [Load(in_flight, args.seconds, args.requests) for in_flight in args.loads]
    names = list_paths(args)
    repository, profile = args.model_repository, args.profile
    baselines = BaselineSetup(
        repository, args.baseline_profile or profile, args.baseline_threads, args.manifest, args.limit
    )
    with ExitStack() as stack:
        server = stack.enter_context(open_server(args.server, repository, profile))
        servers = {"ensemble": server, "step-by-step": server}
        if args.compare:
            servers["compare"] = stack.enter_context(open_server(args.compare, repository, profile))
        paths = stack.enter_context(open_paths(names, servers, repository, profile, baselines, args.timeout))
        rounds = Bench(paths, questions).run(loads, args.repeats)
    settings: dict[str, Any] = {name: value for name, value in vars(args).items() if name not in ("json", "plot")}
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    return BenchReport(settings | {"paths": names}, questions, server.ready_seconds, rounds)


def list_paths(args: argparse.Namespace) -> list[str]:
    """Return the paths to compare, in the order of the tables; --baselines without names selects all."""
    baselines = [] if args.baselines is None else args.baselines or BASELINES
    return [*args.paths, *(["compare"] if args.compare else []), *baselines]


@dataclass(frozen=True)
class Bench:
    """
    Attributes
    ----------
    expected : the first path's answer to each question without load; every other answer is compared with it
    """

    paths: dict[str, AnswerPath]
    questions: Sequence[Question]
    expected: list[Reply] = field(default_factory=list)

    def run(self, loads: Sequence[Load], repeats: int) -> list[list[LoadFigures]]:
        """Return the figures of each round, which is one load on every path; paths take turns in going first."""
        self.warm_up()
        rounds = [(load, self.rotate_paths(repeat)) for repeat in range(repeats) for load in loads]
        progress = tqdm(rounds, desc="measuring", unit="round", mininterval=2, disable=None)
        return [[self.measure(name, load) for name in order] for load, order in progress]

    def warm_up(self) -> None:
        """Ask every path every question once."""
        first, *others = self.paths.values()
        self.expected.extend(map(first.ask, self.questions))
        for path in others:
            for question in self.questions:
                path.ask(question)

    def rotate_paths(self, repeat: int) -> list[str]:
        """Return the paths in the order of a repeat; each repeat begins with another path."""
        names = list(self.paths)
        first = repeat % len(names)
        return names[first:] + names[:first]

    def measure(self, name: str, load: Load) -> LoadFigures:
        path = self.paths[name]
        if name == "in-process":
            load = replace(load, in_flight=1)  # one process answers one question at a time
        before = path.statistics.read_counters() if path.statistics else {}
        figures, outcome = measure_load(name, path, self.questions, load)
        # The path's own times, and the server's for the steps that the server ran.
        steps = average_steps(outcome.all_replies)
        if path.statistics:
            after = path.statistics.read_counters()
            served = [step for step in STEPS if requests_between(before, after, step)]
            after = path.statistics.wait_for_counters(before, served, len(outcome.all_replies))
            times = times_between(before, after, served)
            steps |= {step.step: (step.queue_seconds, step.compute_seconds) for step in times}
        answers = [(reply.answer, self.expected[index].answer) for index, reply in outcome.measured]
        wrong = sum(not is_same_answer(*pair) for pair in answers)
        return replace(figures, wrong=wrong, steps={step: steps[step] for step in STEPS if step in steps})


def average_steps(replies: Sequence[Reply]) -> dict[str, tuple[float, float]]:
    """Return queue and compute seconds of each step that the path called itself; no call waits in a queue."""
    return {step: (0.0, fmean(reply.step_seconds[step] for reply in replies)) for step in replies[0].step_seconds}


if __name__ == "__main__":
    sys.exit(main())
