"""The command line: runs the module of each `convai` command."""

import argparse
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from convai.errors import InvalidArgument
from convai.package_data import install_hint
from convai.program import run_program, run_reporting_errors


@dataclass(frozen=True)
class Command:
    """A subcommand. Its module defines `add_arguments(parser)` and `run(args)`; only the selected one is imported."""

    module: str
    help: str
    extra: str | None = None  # of pyproject.toml, needed by the module; None if the bare package is enough


COMMANDS = {
    "demo": Command("convai.demo", "start the server, ask the example question, stop", "cpu"),
    "init": Command("convai.init", "create a model repository with the default networks", "cpu"),
    "serve": Command("convai.backends.management.serve", "start the Triton server with the whole pipeline", "cpu"),
    "ask": Command("convai.client.ask", "ask a running server spoken questions about a text"),
    "transcribe": Command("convai.client.transcribe", "transcribe recordings of any length", "talk"),
    "speak": Command("convai.client.speak", "read a text aloud into an audio file"),
    "talk": Command(
        "convai.talk.command", "serve a web page to talk to, and the APIs of OpenAI and Home Assistant", "talk"
    ),
    "backends": Command(
        "convai.backends.management.plain_triton", "prepare to run tritonserver without our launcher", "cpu"
    ),
    "generate": Command("convai.generator.generate", "write, check or draw the model configurations", "server"),
    "export": Command("convai.networks.export.command", "export the networks into the model repository", "export"),
    "deploy": Command(
        "convai.networks.deploy.command", "export your own PyTorch network into the model repository", "cpu"
    ),
    "weights": Command("convai.networks.checkpoints.command", "print what a file of weights holds", "export"),
}
# Extras of packages that only some options of a command need.
OPTION_EXTRAS = {
    "anyascii": "server",
    "matplotlib": "plot",
    "num2words": "server",
    "onnx": "export",
    "onnxruntime": "cpu",
}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    # gRPC reads this when it is imported. Its messages below errors repeat those of our client.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    name = overview().parse_args(argv[:1]).command
    return run_reporting_errors(f"convai {name}", lambda: run_command(name, argv[1:]), "--debug" in argv)


def run_command(name: str, options: list[str]) -> int:
    with reporting_missing_package(name):
        module = import_module(COMMANDS[name].module)

    def run(args: argparse.Namespace) -> int | None:
        with reporting_missing_package(name):
            return module.run(args)

    return run_program(parser(name, module), run, options)


@contextmanager
def reporting_missing_package(command: str) -> Generator[None]:
    """Convert the error of a package that is not installed into InvalidArgument, which names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = OPTION_EXTRAS.get(package, COMMANDS[command].extra)
        if package in ("", "convai") or extra is None:
            raise
        raise InvalidArgument(f"the Python package {package} is missing; {install_hint(extra)}") from error


def overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items())
    overview = argparse.ArgumentParser(
        prog="convai",
        usage="convai COMMAND [options]",
        description="A spoken question in, a spoken answer out.",
        epilog=f"commands:\n{listing}\n\n`convai COMMAND --help` lists the options of a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    overview.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    return overview


def parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """The parser of a command; its description is the docstring of the command's module."""
    parser = argparse.ArgumentParser(
        prog=f"convai {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
