"""The README is short, and what it shows of the pipeline, the folders and the figures is so."""

import re

from support.pages import blocks, section
from support.places import ROOT, root_folders

from convai.description.wiring import wiring_of
from convai.generator import graph

README = (ROOT / "README.md").read_text()
LARGEST_BYTES = 12_000


def figures(text):
    return set(re.findall(r"\d[\d,.]*\d|\d", text))


def test_it_is_read_in_a_few_minutes():
    assert len(README.encode()) <= LARGEST_BYTES


def test_the_drawing_is_the_pipeline():
    assert [block.text for block in blocks("mermaid")] == [graph.mermaid(wiring_of("convai_ensemble"))]


def test_the_tensor_table_lists_the_ensembles_inputs_and_outputs():
    rows = re.findall(r"^\| (in|out) `(\w+)` \| (\w+)", README, re.MULTILINE)
    ensemble = wiring_of("convai_ensemble")
    expected = [("in", t.name, t.dtype) for t in ensemble.inputs] + [("out", t.name, t.dtype) for t in ensemble.outputs]
    assert rows == expected


def test_every_root_folder_has_one_line_and_nothing_else_has():
    lines = section("README.md", "What is where").split("```")[1].strip().splitlines()
    assert [line.split()[0].rstrip("/") for line in lines] == sorted(root_folders())


def test_figures_of_quality_and_speed_are_those_of_their_pages():
    for heading, page in (("Quality", "quality.md"), ("Speed", "speed.md")):
        assert figures(section("README.md", heading)) <= figures((ROOT / "docs" / page).read_text())


def test_figures_of_quality_are_those_of_the_cards():
    (table,) = re.findall(r"\| what \| measured on.*?\n\n", (ROOT / "docs/quality.md").read_text(), re.DOTALL)
    results = figures("".join(row.split("|")[3] for row in table.splitlines()[2:-1]))
    cards = figures("".join(card.read_text() for card in (ROOT / "weights").glob("*.md")))
    assert {figure for figure in results if "." in figure} <= cards
