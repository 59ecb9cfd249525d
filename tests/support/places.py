"""Where the tests find what the repository holds."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "client" / "examples"
