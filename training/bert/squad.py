"""Reads question-answering files in SQuAD's format."""

import gzip
import json
from pathlib import Path

from convai.errors import InvalidArgument


def read_squad(squad_file: Path) -> list[dict]:
    """Read the articles of a SQuAD file, plain or gzipped. Raises InvalidArgument if it is something else."""
    opener = gzip.open if Path(squad_file).suffix == ".gz" else open
    try:
        with opener(squad_file, "rt", encoding="utf-8") as stream:
            return json.load(stream)["data"]
    except (gzip.BadGzipFile, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise InvalidArgument(f"{squad_file} is no SQuAD file; allowed is JSON with articles under 'data'") from error
