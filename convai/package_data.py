"""Where the files are that travel with the package: weights, model repository, example."""

from importlib.resources import files
from pathlib import Path


def packaged(*names: str) -> Path:
    """The file or folder of these names inside the package, in a checkout as in an installed wheel.

    The model repository among them is there to be copied: a wheel holds no exports, and may not be written to.
    """
    return Path(str(files("convai").joinpath(*names)))
