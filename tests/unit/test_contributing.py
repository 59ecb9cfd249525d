"""What CONTRIBUTING.md tells a stranger to do is done in a copy of the repository, to the letter."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from support.pages import find_blocks, section
from support.places import ROOT, root_folders

NOT_NEEDED = shutil.ignore_patterns("__pycache__", "*.safetensors", "*.gz", "model.onnx", "model.pt", "model.plan")


@pytest.fixture
def copy(tmp_path):
    """The repository's folders without their large files."""
    for folder in root_folders() - {"tests"}:
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=NOT_NEEDED)
    return tmp_path


def run(copy, *words):
    """What a Python program prints that imports the package from the copy."""
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def follow(copy, heading):
    """Apply the diffs of a section and write its files; returns the files that a contributor touches by hand."""
    touched = set()
    for block in find_blocks(section("CONTRIBUTING.md", heading)):
        if block.language == "diff":
            apply = ["git", "apply", "--recount", "-"]
            done = subprocess.run(apply, cwd=copy, input=block.text, capture_output=True, text=True)
            assert done.returncode == 0, f"{done.stderr}\n{block.text}"
            touched |= set(re.findall(r"^\+\+\+ b/(.*)$", block.text, re.MULTILINE))
        elif block.language == "python":
            file = copy / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text)
            touched.add(block.title)
    return touched


def test_adding_a_step_as_written_gives_a_step_that_is_wired_configured_and_works(copy):
    touched = follow(copy, "Add a step")
    (test,) = [name for name in touched if name.startswith("tests/")]
    assert len(touched - {test}) == 3
    assert "wrote model_repository/translator/config.pbtxt" in run(copy, "-m", "convai", "generate")
    run(copy, "-m", "convai", "generate", "--check")
    assert 'model_name: "translator"' in (copy / "model_repository/convai_ensemble/config.pbtxt").read_text()
    assert "2 passed" in run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", test)


def test_changing_a_bucket_as_written_changes_the_configurations_that_are_listed(copy):
    assert len(follow(copy, "Change a bucket")) == 1
    (expected,) = [
        block.text for block in find_blocks(section("CONTRIBUTING.md", "Change a bucket")) if block.language == "text"
    ]
    written = [line for line in run(copy, "-m", "convai", "generate").splitlines() if line.startswith("wrote")]
    assert sorted(written) == sorted(expected.splitlines())
    changed = {name.removeprefix("wrote "): (copy / name.removeprefix("wrote ")).read_text() for name in written}
    assert all(text != (ROOT / name).read_text() and "48" in text for name, text in changed.items())


def test_a_wire_that_leads_nowhere_is_told_by_its_name(copy):
    follow(copy, "Add a step")
    description = copy / "convai/description/pipeline.py"
    description.write_text(description.read_text().replace('{"text": "translation"}', '{"text": "translated"}'))
    with pytest.raises(AssertionError, match=r"convai_ensemble: .*text_encoder.* translated"):
        run(copy, "-m", "convai", "generate")
