"""What the README says about the repository is so."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from convai.__main__ import COMMANDS
from convai.generator import graph
from convai.pipeline.description import ENSEMBLES, STEPS
from convai.pipeline.wiring import wiring_of

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text()
FOLDERS_IN_ONE_LINE = ("tests", "model_repository", "weights", ".ci")


def code_blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def tracked_files():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    return {name for name in listed if name and (ROOT / name).exists()}


def files_in_the_tree():
    """The indented listing under "What is where", as paths."""
    paths, folders = set(), []
    for line in README.split("## What is where")[1].split("```")[1].strip().splitlines():
        name = line.split()[0]
        depth = (len(line) - len(line.lstrip())) // 2
        folders = folders[:depth] + ([name.rstrip("/")] if name.endswith("/") else [])
        paths.add("/".join(folders) if name.endswith("/") else "/".join([*folders, name]))
    return paths


def test_the_drawing_is_the_pipeline():
    assert code_blocks("mermaid") == [graph.mermaid(wiring_of("convai_ensemble"))]


def test_the_tensor_table_lists_the_ensembles_inputs_and_outputs():
    rows = re.findall(r"^\| (in|out) `(\w+)` \| (\w+)", README, re.MULTILINE)
    ensemble = wiring_of("convai_ensemble")
    expected = [("in", t.name, t.dtype) for t in ensemble.inputs] + [("out", t.name, t.dtype) for t in ensemble.outputs]
    assert rows == expected


def test_every_step_and_ensemble_is_explained():
    for name in [*(step.name for step in STEPS), *(ensemble.name for ensemble in ENSEMBLES)]:
        assert f"`{name}`" in README


def test_the_file_tree_is_the_tree():
    written = files_in_the_tree()
    detailed = {name for name in tracked_files() if not name.startswith(tuple(f"{f}/" for f in FOLDERS_IN_ONE_LINE))}
    detailed = {name for name in detailed if not name.endswith("__init__.py")}
    assert detailed - written == set()
    assert {name for name in written if not (ROOT / name).exists()} == set()


def test_every_make_target_and_subcommand_it_names_exists():
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", README, re.MULTILINE)) <= targets
    assert set(re.findall(r"(?:^|/)convai ([a-z]+)", "\n".join(code_blocks("bash")), re.MULTILINE)) <= set(COMMANDS)


@pytest.mark.parametrize("block", code_blocks("python"))
def test_python_examples_parse(block):
    ast.parse(block)
