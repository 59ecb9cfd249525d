"""Runs a command-line program and reports errors: an invalid argument in one line, a bug as a bug.

A program is a parser and a function of the parsed options: `sys.exit(run_program(build_parser(), run))`.
"""

import json
import logging
import sys
import traceback
import unicodedata
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import Any

from convai.errors import InvalidArgument

FAILED = 1
INTERRUPTED = 130  # what a shell reports after Ctrl-C
LINE_END = "\n"


def run_program(
    parser: ArgumentParser, run: Callable[[Namespace], int | None], argv: Sequence[str] | None = None
) -> int:
    """Parse the options, add --debug to them, and run the program.

    Parameters
    ----------
    parser : its `prog` begins every message on standard error
    run : the program; None stands for status 0
    argv : the options; default those of this process

    Returns
    -------
    The exit status for the shell.
    """
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    args = parser.parse_args(argv)
    return run_reporting_errors(parser.prog, lambda: run(args), args.debug)


def run_reporting_errors(program: str, work: Callable[[], int | None], debug: bool = False) -> int:
    """Run `work`, print any error on standard error, and return the exit status."""
    try:
        return work() or 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        print(f"{program}: {escape_controls(explain(error, debug), keep=LINE_END)}", file=sys.stderr)
        return FAILED


def explain(error: Exception, debug: bool) -> str:
    """The message for the user: an error of their own as it is, anything else as a bug."""
    if isinstance(error, (InvalidArgument, OSError)):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("convai"):
        return f"the Python package {error.name} is not installed; convai's extras install what its commands need"
    advice = "report it with the traceback above" if debug else "report it; run again with --debug for the traceback"
    return f"{type(error).__name__}: {error}\nThis is a bug in convai. Please {advice}."


def escape_controls(text: str, keep: str = "") -> str:
    """Write control characters but those in `keep` as escapes: they could steer a terminal, or forge lines of a log."""
    return "".join(
        character if is_harmless(character) or character in keep else character.encode("unicode_escape").decode()
        for character in text
    )


def to_json(record: Any) -> str:
    """Return JSON in which also those control characters are escapes that JSON allows as they are."""
    text = json.dumps(record, ensure_ascii=False)
    return "".join(character if is_harmless(character) else json.dumps(character)[1:-1] for character in text)


def is_harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


class EscapingFormatter(logging.Formatter):
    """Formats a record without control characters; only its traceback has lines of its own."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return escape_controls(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return escape_controls(super().formatException(ei), keep=LINE_END)
