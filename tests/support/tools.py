"""Programs that pip cannot install: tests that need one are skipped without it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest


def kustomize(folder: Path) -> str:
    """Render a folder with `kubectl kustomize`, as YAML."""
    reason = "kubectl 1.27 or later renders the manifests: https://kubernetes.io/docs/tasks/tools"
    version = re.search(r"v(\d+)\.(\d+)", run("kubectl", "version", "--client", reason=reason))
    if not version or (int(version[1]), int(version[2])) < (1, 27):
        pytest.skip(reason)
    return run("kubectl", "kustomize", folder, reason=reason)


def promtool(*words: str | Path) -> str:
    return run("promtool", *words, reason="promtool checks the rules; Debian's package prometheus has it")


def run(program: str, *words: str | Path, reason: str) -> str:
    """Return what the program prints; it must succeed."""
    if shutil.which(program) is None:
        pytest.skip(reason)
    done = subprocess.run([program, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
