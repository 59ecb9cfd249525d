"""How every program of the project ends: a caller's mistake is told in one line, a bug of ours as what it is.

A program is a parser and a function of the parsed options: `sys.exit(run_program(build_parser(), run))`.
"""

import sys
import traceback
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence

from convai.errors import InvalidArgument

FAILED = 1
INTERRUPTED = 130  # what a shell reports after Ctrl-C


def run_program(
    parser: ArgumentParser, run: Callable[[Namespace], int | None], argv: Sequence[str] | None = None
) -> int:
    """Parse the options, --debug among them, run, and return the status for the shell.

    Parameters
    ----------
    parser : its `prog` begins every message on standard error
    run : the program; None stands for status 0
    argv : options as they were typed; None means those of this process
    """
    parser.add_argument("--debug", action="store_true", help="show the traceback of whatever goes wrong")
    args = parser.parse_args(argv)
    return exit_status(parser.prog, lambda: run(args), args.debug)


def exit_status(program: str, work: Callable[[], int | None], debug: bool = False) -> int:
    """The status for the shell after `work`; whatever that raises is told on standard error."""
    try:
        return work() or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        print(f"{program}: {reason(error, debug)}", file=sys.stderr)
        return FAILED


def reason(error: Exception, debug: bool) -> str:
    # A file, an address or a server that does not work is told by the system's own message.
    if isinstance(error, (InvalidArgument, OSError)):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("convai"):
        return f"the Python package {error.name} is not installed; convai's extras bring what its commands need"
    advice = "the traceback above belongs" if debug else "--debug shows the traceback, which belongs"
    return f"{type(error).__name__}: {error}\nThis is a bug of convai, not a mistake of yours; {advice} into a report."
