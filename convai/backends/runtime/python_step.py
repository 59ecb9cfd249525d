"""What the adapter requires of a Python step."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol

from convai.arrays import Array
from convai.backends.runtime.metrics import Counter


class PythonStep(Protocol):
    """A frozen dataclass whose fields are the parameters of its configuration; it maps one row's inputs to outputs.

    A step derives from this class and overrides the attributes that it needs.

    Attributes
    ----------
    counters : sums over the rows that the step has answered, for Prometheus
    request_parameters : names of the request's parameters that the step takes; None if the caller gave none
    outputs_on_request : outputs that the step may leave out unless their names are in its argument `requested`
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    counters: ClassVar[tuple[Counter, ...]] = ()
    request_parameters: ClassVar[tuple[str, ...]] = ()
    outputs_on_request: ClassVar[tuple[str, ...]] = ()

    def __call__(self, *args: Any, **inputs: Any) -> Mapping[str, Array | str]:
        """Compute the outputs by name. The inputs are keywords, without the batch axis; texts are str."""
        ...


class StreamingStep(PythonStep, Protocol):
    """A step that answers one row with one or more responses (a decoupled model in Triton's terms)."""

    def __call__(self, *args: Any, **inputs: Any) -> Iterator[Mapping[str, Array | str]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Yield the outputs of each response by name; a response is computed when it is taken."""
        ...
