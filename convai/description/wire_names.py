"""How a step's outputs are called in Triton: the LibTorch backend finds them by position, written `name__index`."""

from convai.description.pipeline import Tensor


def wire_name(tensor: Tensor, index: int, engine: str) -> str:
    """Name of a step's output number `index` under an engine: `mel_length` -> `mel_length__1` on `pytorch`."""
    return f"{tensor.name}__{index}" if engine == "pytorch" else tensor.name


def plain_name(name: str) -> str:
    """The reverse of `wire_name`: `mel_length__1` -> `mel_length`."""
    head, separator, index = name.rpartition("__")
    return head if separator and index.isdigit() else name
