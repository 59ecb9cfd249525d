"""Checks of parameters and inputs that several steps share; all raise InvalidArgument."""

from collections.abc import Sequence

from convai.description.limits import MAX_CONTEXT_BYTES
from convai.errors import InvalidArgument


def check_range(name: str, value: float, lowest: float, highest: float) -> None:
    """Refuse a number outside `lowest` to `highest`, both included; NaN is outside."""
    if not lowest <= value <= highest:
        raise InvalidArgument(f"{name}: expected {lowest:g} to {highest:g}, got {value}")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise InvalidArgument(f"{name}: expected {' or '.join(map(repr, choices))}, got {value!r}")


def check_text_size(name: str, text: str) -> None:
    """Refuse a context, or a written question, that exceeds the limit."""
    num_bytes = len(text.encode())
    if num_bytes > MAX_CONTEXT_BYTES:
        raise InvalidArgument(f"{name}: expected at most {MAX_CONTEXT_BYTES} bytes of UTF-8, got {num_bytes}")
