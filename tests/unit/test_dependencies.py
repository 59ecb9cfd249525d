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


def test_the_client_and_its_command_import_only_what_the_bare_package_brings():
    others = sorted({"matplotlib", "scipy", "torch", "tokenizers", "jinja2", "onnxruntime", "platformdirs"})
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({others}))\n"  # importing one of them fails
        "import convai.client, convai.client.ask, convai.client.steps"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_benchmarks_of_speed_import_nothing_that_only_baselines_or_quality_need():
    others = sorted({"fastapi", "uvicorn", "msgpack", "urllib3", "ray", "playwright", "jiwer", "librosa"})
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({others}))\n"
        "from benchmarks.speed import bench, chaos, overload, plot, step_overhead, streaming, talk"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
