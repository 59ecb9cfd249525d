"""What the adapter knows of a Python step."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

from convai.arrays import Array
from convai.backends.runtime.metrics import Counter


class PythonStep(Protocol):
    """A frozen dataclass, its fields the parameters of its configuration, that turns one row's inputs into outputs.

    A step derives from it, and names of the following what it has.

    Attributes
    ----------
    counters : what its answered rows add up to, for Prometheus
    hints : inputs with texts that it can do without; what is not UTF-8 in them is replaced, not refused
    request_parameters : what it takes from a request beside its inputs; None where a caller gave nothing
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    counters: ClassVar[tuple[Counter, ...]] = ()
    hints: ClassVar[tuple[str, ...]] = ()
    request_parameters: ClassVar[tuple[str, ...]] = ()

    def __call__(self, *args: Any, **inputs: Any) -> Mapping[str, Array | str]:
        """Outputs by name. Each step takes keywords alone: its inputs without the batch axis, texts as str."""
        ...


class StreamingStep(PythonStep, Protocol):
    """A step that answers one row with any number of responses, in Triton's word a decoupled one."""

    def __call__(self, *args: Any, **inputs: Any) -> Iterator[Mapping[str, Array | str]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The outputs of each response by name, made when they are taken; at least one response."""
        ...
