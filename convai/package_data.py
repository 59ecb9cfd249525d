"""Where the files are that travel with the package: weights, model repository, examples."""

from pathlib import Path

PACKAGE = Path(__file__).parent


def packaged(*names: str) -> Path:
    """Return the path of a file or folder of the package, in a checkout as in an installed wheel.

    A wheel carries `model_repository` and `weights` inside the package; in a checkout they lie beside it.
    The model repository is a template to copy: a wheel holds no exports, and its folder may be read-only.
    """
    inside = PACKAGE.joinpath(*names)
    return inside if inside.exists() else PACKAGE.parent.joinpath(*names)
