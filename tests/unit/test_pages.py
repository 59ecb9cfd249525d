"""What README, CONTRIBUTING and the pages under docs say about the repository is so."""

import argparse
import ast
import re
from importlib import import_module

import pytest
from support.pages import PAGES, blocks, commands, convai_commands
from support.places import ROOT, root_folders

from convai.__main__ import COMMANDS, parser
from convai.description.pipeline import MODEL_NAMES

CARDS = sorted((ROOT / "weights").glob("*.md"))
MODULE_COMMANDS = [words[2:] for words in commands() if words[0].endswith("python") and words[1] == "-m"]


class Parsed(Exception):
    """A program's command line is as its parser wants it."""


@pytest.mark.parametrize("words", convai_commands(), ids=" ".join)
def test_the_command_line_understands_every_convai_command(words):
    parser(words[0], import_module(COMMANDS[words[0]].module)).parse_args(words[1:])


@pytest.mark.parametrize("words", MODULE_COMMANDS, ids=" ".join)
def test_every_program_understands_its_command(words, monkeypatch):
    understand = argparse.ArgumentParser.parse_args

    def parse_and_stop(self, *args, **kwargs):
        raise Parsed(understand(self, *args, **kwargs))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    with pytest.raises(Parsed):
        import_module(words[0]).main(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_a_page_names_exists(page):
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_subcommand_that_a_page_names_exists(page):
    assert set(re.findall(r"`convai ([a-z]+)", page.read_text())) <= set(COMMANDS)


@pytest.mark.parametrize("page", [*PAGES, *CARDS], ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page):
    folders = "|".join(sorted(root_folders()))
    named = re.findall(rf"`((?:{folders})/[\w./-]*)`", page.read_text())
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("page", [*PAGES, *CARDS], ids=lambda page: page.name)
def test_every_link_between_files_leads_somewhere(page):
    links = re.findall(r"\]\((?!\w+:)([^)#\s]+)", page.read_text())
    assert {link for link in links if not (page.parent / link).exists()} == set()


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.text[:40])
def test_python_examples_parse(block):
    ast.parse(block.text)


def test_every_step_and_ensemble_is_explained():
    text = "".join(page.read_text() for page in PAGES)
    assert [name for name in MODEL_NAMES if f"`{name}`" not in text] == []
