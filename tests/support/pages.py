"""The pages that people read, and the code and tables on them."""

import re
import shlex
from dataclasses import dataclass
from itertools import dropwhile
from textwrap import dedent

from support.places import ROOT

README = ROOT / "README.md"
GUIDES = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "benchmarks/README.md", ROOT / "training/README.md"]
PAGES = [README, *GUIDES, *sorted((ROOT / "docs").glob("*.md"))]
CARDS = sorted((ROOT / "weights").glob("*.md"))
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str


def find_blocks(text: str) -> list[Block]:
    return [Block(language, dedent(code)) for _, language, code in FENCE.findall(text)]


def blocks(language: str, page: str | None = None) -> list[Block]:
    """The blocks of one language, of one page or all, in their order."""
    texts = (path.read_text() for path in PAGES if page in (None, path.name))
    return [block for text in texts for block in find_blocks(text) if block.language == language]


def commands() -> list[list[str]]:
    """Every command in a bash block, as words without leading NAME=VALUE; commands joined by && or | are separate."""
    lines = (line for block in blocks("bash") for line in block.text.replace("\\\n", " ").splitlines())
    words = (shlex.split(part, comments=True) for line in lines for part in re.split(r"&&|\|", line))
    stripped = (list(dropwhile(lambda word: re.fullmatch(r"[A-Z_]+=.*", word), each)) for each in words)
    return [each for each in stripped if each]


def convai_commands(name: str | None = None) -> list[list[str]]:
    """What follows `convai` in every command that begins with it, of one subcommand or all."""
    found = [words[1:] for words in commands() if words[0].rsplit("/")[-1] == "convai"]
    return [words for words in found if name in (None, words[0])]


def table_rows(text: str) -> list[dict[str, str]]:
    """The rows of every table, each as its cells by the heading of their column."""
    tables = re.findall(r"^\|.*\n\|[-|]+\n(?:\|.*\n)+", text, re.MULTILINE)
    cells = [[re.split(r"\s*\|\s*", line.strip("| ")) for line in table.splitlines()] for table in tables]
    return [dict(zip(heading, row, strict=False)) for heading, _, *rows in cells for row in rows]
