"""Links, commands and figures on the pages hold, and README shows the pipeline and the folders as they are."""

import argparse
import ast
import re
from importlib import import_module
from importlib.util import find_spec

import pytest
from support.pages import CARDS, PAGES, README, blocks, commands, convai_commands, find_blocks, table_rows
from support.places import EXAMPLES, ROOT, root_folders

from convai.__main__ import COMMANDS, parser
from convai.description.wiring import wiring_of
from convai.generator import graph

MODULE_COMMANDS = [words[2:] for words in commands() if words[0].endswith("python") and words[1] == "-m"]
# The line of a card that holds a figure of docs/measurements.md: the card, and words of that line.
CARD_LINES = {
    "Jasper: synthetic voice `hibari:heart`": ("jasper", "questions spoken by `hibari:heart`"),
    "Jasper: five synthetic voices": ("jasper", "five voices of the training"),
    "Jasper: synthetic voice kept out": ("jasper", "`flite:rms`, a voice kept out"),
    "Jasper: LibriSpeech": ("jasper", "readers of LibriSpeech kept out"),
    "Jasper: AN4 and speechocean762": ("jasper", "real speakers kept out"),
    "Jasper: Common Voice": ("jasper", "Common Voice"),
    "Answers to written questions": ("bert", "as written"),
    "Answers to the same questions spoken": ("bert", "spoken by `hibari:heart`"),
    "Speech as an independent recogniser": ("tacotron2", "these weights"),
    "Speech: short answers": ("tacotron2", "mostly names"),
    "WaveGlow alone": ("waveglow", "these weights, post-filter on"),
}


class Parsed(Exception):
    """A program's parser accepts its command line."""


def results(page):
    """Every figure of a page by its name."""
    return {row["what"]: row["result"] for row in table_rows(page.read_text()) if "result" in row}


@pytest.mark.parametrize("words", convai_commands(), ids=" ".join)
def test_every_convai_command_parses(words):
    parser(words[0], import_module(COMMANDS[words[0]].module)).parse_args(words[1:])


@pytest.mark.parametrize("words", MODULE_COMMANDS, ids=" ".join)
def test_every_program_parses_its_command(words, monkeypatch):
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self, *args, **kwargs):
        raise Parsed(parse(self, *args, **kwargs))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
    with pytest.raises(Parsed):
        import_module(words[0]).main(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_and_subcommand_exists(page):
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    assert set(re.findall(r"`convai ([a-z]+)", text)) <= set(COMMANDS)


@pytest.mark.parametrize("page", [*PAGES, *CARDS, EXAMPLES / "README.md"], ids=lambda page: page.name)
def test_every_link_and_path_resolves(page):
    text = page.read_text()
    links = re.findall(r"\]\((?!\w+:)([^)#\s]+)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []
    paths = re.findall(rf"`((?:{'|'.join(root_folders())})/[\w./-]*)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", ["voice-agents.md", "listen-protocol.md"])
def test_every_program_compiles_and_imports_what_its_packages_have(page):
    """Of packages that are installed; the agents' are not in every checkout."""
    programs = [ast.parse(block.text) for block in blocks("python", page)]
    imports = [node for program in programs for node in ast.walk(program) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        pytest.importorskip(node.module.partition(".")[0])
        module = import_module(node.module)
        for one in node.names:
            assert hasattr(module, one.name) or find_spec(f"{node.module}.{one.name}"), ast.unparse(node)


def test_the_diagram_is_the_pipeline():
    assert [block.text for block in blocks("mermaid")] == [graph.mermaid(wiring_of("convai_ensemble"))]


def test_the_tensor_table_lists_the_inputs_and_outputs_of_the_ensemble():
    rows = re.findall(r"^\| (in|out) `(\w+)` \| (\w+)", README.read_text(), re.MULTILINE)
    ensemble = wiring_of("convai_ensemble")
    expected = [("in", t.name, t.dtype) for t in ensemble.inputs] + [("out", t.name, t.dtype) for t in ensemble.outputs]
    assert rows == expected


def test_the_tree_names_every_root_folder():
    (tree,) = [block.text for block in find_blocks(README.read_text()) if "convai/  " in block.text]
    assert [line.split()[0].rstrip("/") for line in tree.splitlines()] == sorted(root_folders())


def test_every_figure_of_readme_is_that_of_the_measurements_page():
    shown = results(README)
    assert len(shown) >= 10
    assert shown.items() <= results(ROOT / "docs/measurements.md").items()


@pytest.mark.parametrize("name", CARD_LINES)
def test_every_figure_of_the_measurements_page_is_that_of_its_card(name):
    (result,) = [text for what, text in results(ROOT / "docs/measurements.md").items() if what.startswith(name)]
    card, words = CARD_LINES[name]
    lines = [line for line in (ROOT / f"weights/{card}.md").read_text().splitlines() if words in line]
    figures = re.findall(r"\d+\.\d", result)
    assert any(all(figure in line for figure in figures) for line in lines), f"{card}.md: {words}: {figures}"
