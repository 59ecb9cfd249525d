"""Programs that pip cannot install but some tests run; without one they are skipped, and say where it comes from."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

KUBECTL = "https://kubernetes.io/docs/tasks/tools (1.27 or later; Debian's is older)"


def kustomize(folder: Path) -> str:
    """What the real `kubectl kustomize` makes of the folder, as YAML."""
    if shutil.which("kubectl") is None or kubectl_version() < (1, 27):
        pytest.skip(f"kubectl renders the manifests: {KUBECTL}")
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kubectl_version() -> tuple[int, int]:
    told = subprocess.run(["kubectl", "version", "--client"], capture_output=True, text=True, timeout=60).stdout
    found = re.search(r"v?(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def promtool(*words: str | Path) -> str:
    """What promtool prints; it has to succeed."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool checks the rules: Debian's package prometheus has it")
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
