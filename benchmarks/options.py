"""Options that several programs share."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convai.generator.profiles import PROFILES


def build_program_parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser for `python -m <module>` whose help shows the module's docstring as it is written."""
    return argparse.ArgumentParser(
        prog=f"python -m {module}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_server_options(parser: argparse.ArgumentParser, profiles: Iterable[str] = PROFILES) -> None:
    """Add --server for a running server, and --model-repository and --profile for one to start."""
    parser.add_argument("--server", metavar="HOST:PORT", help="measure a running server (default: start one)")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", choices=tuple(profiles), help="default %(default)s")


def add_json_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")


def write_json(file: Path | None, record: Any) -> None:
    """Write `record` if --json named a file."""
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
