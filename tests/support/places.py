"""Where the tests find what the repository holds."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "convai" / "client" / "examples"


def root_folders() -> set[str]:
    """The folders at the root that hold something of the project."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {name.split("/")[0] for name in listed.splitlines() if "/" in name and (ROOT / name).exists()}
