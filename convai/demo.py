"""Run the whole pipeline once: start the server, ask the example question, write answer.wav and answer.png, stop.

convai demo
convai demo --model-repository build/full_size --profile cpu-nvidia --timeout 900
"""

import argparse
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import platformdirs

from convai.__main__ import main as convai
from convai.backends.management.launcher import Server
from convai.backends.management.serve import warm_up
from convai.description.config_files import DEFAULT_PROFILE
from convai.generator.profiles import PROFILES
from convai.package_data import DISTRIBUTION, packaged


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model-repository",
        type=Path,
        metavar="FOLDER",
        help="default: ./model_repository if it exists, otherwise one made in the user's cache folder",
    )
    parser.add_argument("--profile", default=DEFAULT_PROFILE, choices=PROFILES, help="default %(default)s")
    parser.add_argument("--timeout", default="60", metavar="SECONDS", help="for the answer, default %(default)s")


def run(args: argparse.Namespace) -> int:
    repository = args.model_repository or find_or_make_repository()
    print("starting the server ...", flush=True)
    with Server(repository, profile=args.profile) as server:
        if args.profile == DEFAULT_PROFILE:  # networks of NVIDIA's sizes would take minutes
            warm_up(server.control)
        return convai([*ask_command(server.grpc_address, args.timeout), *(["--debug"] if args.debug else [])])


def find_or_make_repository() -> Path:
    """The model repository in the current folder, or else this version's in the user's cache folder."""
    here = Path("model_repository")
    if here.is_dir():
        return here
    cached = platformdirs.user_cache_path("convai") / version(DISTRIBUTION) / "model_repository"
    if not cached.is_dir():
        from convai.init import make_repository  # torch takes seconds to import

        print(f"making the model repository {cached} ...", flush=True)
        make_repository(cached)
    return cached


def ask_command(address: str, timeout: str) -> list[str]:
    """The command that asks the example question; it draws the answer if matplotlib is installed."""
    examples = packaged("client", "examples")
    question = ["ask", str(examples / "question.wav"), "--context", str(examples / "context.txt"), "--out=answer.wav"]
    plot = ["--plot=answer.png"] if find_spec("matplotlib") else []
    return [*question, *plot, "--steps", "--server", address, "--timeout", timeout]
