"""How arrays are annotated: the docstring tells what a signature cannot, their dtype, shape and unit."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
