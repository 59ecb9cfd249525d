"""The pages that people read, and the code on them."""

import re
import shlex
from dataclasses import dataclass
from itertools import dropwhile
from textwrap import dedent

from support.places import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)(?: title=\"(.*?)\")?\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `title` names the file that it is, if it is one."""

    language: str
    title: str | None
    text: str


def find_blocks(text: str) -> list[Block]:
    return [Block(language, title or None, dedent(code)) for _, language, title, code in FENCE.findall(text)]


def blocks(language: str, page: str | None = None) -> list[Block]:
    """The blocks of one language, of one page or all, in their order."""
    texts = (path.read_text() for path in PAGES if page in (None, path.name))
    return [block for text in texts for block in find_blocks(text) if block.language == language]


def commands() -> list[list[str]]:
    """Every command in a bash block, as words; those joined by && or | apart."""
    lines = (line for block in blocks("bash") for line in block.text.replace("\\\n", " ").splitlines())
    words = (shlex.split(part, comments=True) for line in lines for part in re.split(r"&&|\|", line))
    return [each for each in map(_without_settings, words) if each]


def _without_settings(words: list[str]) -> list[str]:
    """The command behind any NAME=VALUE."""
    return list(dropwhile(lambda word: re.fullmatch(r"[A-Z_]+=.*", word), words))


def convai_commands(name: str | None = None) -> list[list[str]]:
    """What follows `convai` in every command that begins with it, of one subcommand or all."""
    found = [words[1:] for words in commands() if words[0].rsplit("/")[-1] == "convai"]
    return [words for words in found if name in (None, words[0])]


def section(page: str, heading: str) -> str:
    """The text of a page between a heading of the second level and the next."""
    (path,) = [path for path in PAGES if path.name == page]
    return path.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
