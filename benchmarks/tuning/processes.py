"""Compare ways to divide the cores among the networks: threads per process, and processes per network.

python -m benchmarks.tuning.processes
python -m benchmarks.tuning.processes --variant unchanged --variant jasper=1x1,bert=1x2,waveglow=1x2 --loads 1 8

A variant names networks with threads x processes, such as bert=1x2; the others stay as the profile has them. Each
variant has a server of its own, and all take turns, so that other programs disturb all alike.
"""

import argparse
import re
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from tqdm import tqdm

from benchmarks.options import add_json_option, build_program_parser, write_json
from benchmarks.speed.closed_loop import Load
from benchmarks.speed.figures import LoadFigures, compute_medians, measure_load
from benchmarks.speed.measured_server import open_server
from benchmarks.speed.paths import EnsemblePath
from benchmarks.speed.question_set import read_questions
from benchmarks.speed.report import format_loads, format_ratios
from convai.client.client import ConvaiClient
from convai.description.pipeline import NETWORK_NAMES
from convai.errors import InvalidArgument
from convai.generator.profiles import PROFILES, Profile
from convai.generator.render import render
from convai.generator.settings import thread_parameters
from convai.program import run_program

UNCHANGED = "unchanged"
VARIANTS = (
    UNCHANGED,
    "jasper=2x1,bert=2x1,waveglow=2x1",
    "jasper=2x1,bert=2x2,waveglow=1x2",
    "jasper=2x1,bert=1x2,waveglow=1x2",
    "jasper=1x1,bert=1x2,waveglow=1x2",
    "jasper=1x2,bert=1x2,waveglow=1x2",
)
WARM_UP_QUESTIONS = 8


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.tuning.processes", __doc__)
    parser.add_argument("--variant", action="append", help="to compare, repeatable; the first is the reference")
    parser.add_argument("--loads", nargs="+", type=int, default=(1, 8), metavar="N", help="in flight, default 1 8")
    parser.add_argument("--requests", type=int, default=48, help="per round and load, default %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="of which to take medians, default %(default)s")
    parser.add_argument("--profile", default="cpu", choices=PROFILES, help="default %(default)s")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    variants = args.variant or VARIANTS
    loads = [Load(in_flight, seconds=120, requests=args.requests) for in_flight in args.loads]
    rounds: dict[tuple[int, Load], list[LoadFigures]] = {}
    with tempfile.TemporaryDirectory() as folder:
        repositories = {variant: Path(folder) / str(number) for number, variant in enumerate(variants)}
        for variant, repository in repositories.items():
            write_repository(repository, args.model_repository, apply_variant(PROFILES[args.profile], variant))
        turns = [(number, variant) for number in range(args.rounds) for variant in variants]
        for number, variant in tqdm(turns, desc="measuring", mininterval=2):
            for load, figures in measure_variant(variant, repositories[variant], args.profile, loads):
                rounds.setdefault((number, load), []).append(figures)
    medians = compute_medians(figures for measured in rounds.values() for figures in measured)
    print(format_loads(sorted(medians, key=lambda figures: figures.in_flight)))
    print(f"\n{format_ratios(rounds.values(), variants[0])}")
    write_json(args.json, [asdict(figures) for figures in medians])


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def measure_variant(
    variant: str, model_repository: Path, profile: str, loads: list[Load]
) -> list[tuple[Load, LoadFigures]]:
    """Serve a variant once, under each load."""
    questions = read_questions(None)
    with (
        open_server(None, model_repository, profile) as server,
        ConvaiClient(server.address, timeout_seconds=600) as client,
    ):
        path = EnsemblePath(client, server.list_processes)
        for question in questions[:WARM_UP_QUESTIONS]:
            path.ask(question)
        return [(load, measure_load(variant, path, questions, load)[0]) for load in loads]


def apply_variant(profile: Profile, variant: str) -> Profile:
    """Return the profile with the threads and processes that a variant names."""
    if variant == UNCHANGED:
        return profile
    settings = dict(profile.settings)
    for part in variant.split(","):
        match = re.fullmatch(r"(\w+)=(\d+)x(\d+)", part)
        if match is None or match[1] not in NETWORK_NAMES:
            raise InvalidArgument(f"--variant: expected {UNCHANGED} or parts like bert=1x2, got {part!r}")
        own, threads, instances = settings[match[1]], int(match[2]), int(match[3])
        parameters = {**own.parameters, **thread_parameters(own.engine, threads)}
        settings[match[1]] = replace(own, instances=instances, parameters=parameters)
    return replace(profile, settings=settings)


def write_repository(folder: Path, model_repository: Path, profile: Profile) -> None:
    """Write a model repository of this profile's configurations that links to the files of another repository."""
    for name, text in render([profile]).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for model in folder.iterdir():
        (model / "1").symlink_to((model_repository / model.name / "1").resolve())


if __name__ == "__main__":
    sys.exit(main())
