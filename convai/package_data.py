"""The distribution and the files that it carries: weights, model repository, examples."""

from pathlib import Path

DISTRIBUTION = "convai-triton"  # on PyPI, `convai` is an unrelated project
PACKAGE = Path(__file__).parent


def packaged(*names: str) -> Path:
    """Return the path of a file or folder of the package, in a checkout as in an installed wheel.

    A wheel carries `model_repository` and `weights` inside the package; in a checkout they lie beside it.
    The model repository is a template to copy: a wheel holds no exports, and its folder may be read-only.
    """
    inside = PACKAGE.joinpath(*names)
    return inside if inside.exists() else PACKAGE.parent.joinpath(*names)


def install_hint(extra: str) -> str:
    """How to install an extra of pyproject.toml, for an error message."""
    return f"install convai's extra {extra!r}: pip install '.[{extra}]' in a clone of convai"
