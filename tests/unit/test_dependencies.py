"""Ranges in pyproject.toml, exact versions in constraints.txt, and a client that takes no more than it needs."""

import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONSTRAINTS = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"]
PINNED = {
    canonicalize_name(one.name): str(one.specifier).removeprefix("==")
    for one in CONSTRAINTS
    if one.marker is None or one.marker.evaluate()
}


@pytest.mark.parametrize("extra", ["the bare package", *EXTRAS])
def test_every_package_is_constrained_to_a_version_within_its_range(extra):
    requirements = [Requirement(text) for text in EXTRAS.get(extra, PROJECT["dependencies"])]
    for requirement in requirements:
        if requirement.name == PROJECT["name"]:
            assert requirement.extras <= set(EXTRAS)
        else:
            assert requirement.specifier.contains(PINNED[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize(
    ("imports", "others"),
    [
        (
            "import convai.client, convai.client.ask, convai.client.listen, convai.client.transcribe",
            "fastapi starlette matplotlib scipy torch tokenizers jinja2 onnxruntime platformdirs",
        ),
        (
            "from benchmarks.speed import bench, chaos, overload, plot, step_overhead, streaming, talk",
            "fastapi uvicorn msgpack urllib3 ray playwright jiwer librosa",
        ),
    ],
    ids=["the client and its command", "benchmarks of speed"],
)
def test_packages_of_other_extras_are_not_imported(imports, others):
    """In an interpreter of its own, where importing one of the others fails; here they are imported already."""
    program = f"import sys; sys.modules.update(dict.fromkeys({others.split()}))\n{imports}"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
