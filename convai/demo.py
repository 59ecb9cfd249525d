"""The whole pipeline once: start the server, ask the example question, write answer.wav and answer.png, stop.

python -m convai.demo
python -m convai.demo --model-repository build/full_size --profile cpu-nvidia --timeout 900
"""

import argparse
import sys
from pathlib import Path

from convai.__main__ import main as convai
from convai.backends.management.launcher import Server
from convai.backends.management.repository import DEFAULT_PROFILE
from convai.backends.management.warm_up import warm_up
from convai.generator.profiles import PROFILES
from convai.pipeline.program import run_program

EXAMPLES = Path(__file__).parent.parent / "client" / "examples"


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="demo", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", choices=PROFILES, help="default %(default)s")
    parser.add_argument("--timeout", default="60", metavar="SECONDS", help="for the answer, default %(default)s")
    return parser


def run(args: argparse.Namespace) -> int:
    print("starting the server ...", flush=True)
    with Server(args.model_repository, profile=args.profile) as server:
        if args.profile == DEFAULT_PROFILE:  # networks of NVIDIA's sizes would take minutes
            warm_up(server.control)
        return convai([*question(server.grpc_address, args.timeout), *(["--debug"] if args.debug else [])])


def question(address: str, timeout: str) -> list[str]:
    """The command that asks the example question."""
    files = [str(EXAMPLES / "question.wav"), "--context", str(EXAMPLES / "context.txt")]
    return [
        "ask",
        *files,
        "--out=answer.wav",
        "--plot=answer.png",
        "--steps",
        "--server",
        address,
        "--timeout",
        timeout,
    ]


if __name__ == "__main__":
    sys.exit(main())
