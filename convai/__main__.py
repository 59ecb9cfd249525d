"""Dispatch `convai <command>` to the module that does it."""

import argparse
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from convai.errors import InvalidArgument
from convai.program import exit_status, run_program


@dataclass(frozen=True)
class Command:
    """A subcommand: its module has `add_arguments(parser)` and `run(args)`; only the chosen one is imported."""

    module: str
    help: str
    extra: str | None = None  # of pyproject.toml, with what its module imports; None for those of the bare package


COMMANDS = {
    "demo": Command("convai.demo", "start the server, ask the example question, stop", "cpu"),
    "init": Command("convai.init", "make a model repository with the default networks", "cpu"),
    "serve": Command("convai.backends.management.serve", "start the Triton server with the whole pipeline", "cpu"),
    "ask": Command("convai.client.ask", "ask a running server spoken questions about a text"),
    "speak": Command("convai.client.speak", "read a text aloud, a whole book if need be, into a file"),
    "talk": Command(
        "convai.talk.command", "open a page to talk to, and the interfaces of OpenAI and Home Assistant", "talk"
    ),
    "backends": Command(
        "convai.backends.management.plain_triton", "prepare for Triton itself, and print its command", "cpu"
    ),
    "generate": Command(
        "convai.generator.generate", "write, check or draw the model repository's configuration", "server"
    ),
    "export": Command("convai.networks.export.command", "export the networks into the model repository", "export"),
    "deploy": Command(
        "convai.networks.deploy.command", "export a PyTorch network of your own into the model repository", "cpu"
    ),
    "weights": Command("convai.networks.checkpoints.command", "print what a file of weights holds", "export"),
}
# Of packages that only some options of a command take.
OTHER_EXTRAS = {"matplotlib": "plot", "onnxruntime": "cpu"}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    # Read when gRPC is imported; below errors it only repeats what the client's own messages say.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    name = overview().parse_args(argv[:1]).command
    return exit_status(f"convai {name}", lambda: run_command(name, argv[1:]), "--debug" in argv)


def run_command(name: str, options: list[str]) -> int:
    with missing_package_told(name):
        module = import_module(COMMANDS[name].module)

    def run(args: argparse.Namespace) -> int | None:
        with missing_package_told(name):
            return module.run(args)

    return run_program(parser(name, module), run, options)


@contextmanager
def missing_package_told(command: str) -> Generator[None]:
    """Around what a command imports: a package that is not installed is the caller's to install, with its extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = OTHER_EXTRAS.get(package, COMMANDS[command].extra)
        if package in ("", "convai") or extra is None:
            raise
        raise InvalidArgument(f"{package} is not installed: pip install 'convai[{extra}]'") from error


def overview() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    listing = "\n".join(f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items())
    overview = argparse.ArgumentParser(
        prog="convai",
        usage="convai COMMAND [options]",
        description="A spoken question in, a spoken answer out.",
        epilog=f"commands:\n{listing}\n\n`convai COMMAND --help` tells the options of each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    overview.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of those below")
    return overview


def parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """The chosen command's own parser; its description is the module's docstring."""
    parser = argparse.ArgumentParser(
        prog=f"convai {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.add_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
