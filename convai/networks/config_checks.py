"""Checks the fields of a network's configuration, which may come from a checkpoint or an option of `convai export`."""

import reprlib
from collections.abc import Collection
from dataclasses import fields
from math import isfinite
from typing import Any, get_origin

from convai.errors import InvalidArgument

LARGEST_INTEGER = 2**18  # vocabularies reach 250,000; a forged size must not fill the memory
KINDS = {int: "an integer", float: "a number", bool: "true or false", str: "a text"}


def check_fields(
    config: Any,
    *,
    odd: Collection[str] = (),
    even: Collection[str] = (),
    probabilities: Collection[str] = (),
    zero: Collection[str] = (),
    seeds: Collection[str] = (),
) -> None:
    """Raise InvalidArgument, with the field and its value, for another type than the field's or a value out of range.

    Integers are 1 to LARGEST_INTEGER, those in `zero` also 0; `seeds` may be any. Numbers are finite, `probabilities`
    at least 0 and below 1.
    """

    def find_broken_rule(name: str, kind: Any, value: Any) -> str | None:
        if type(value) is not kind and not (kind is float and type(value) is int):
            return KINDS.get(kind, f"a {kind.__name__}")
        if kind is int and name not in seeds and not (name not in zero) <= value <= LARGEST_INTEGER:
            return f"{int(name not in zero)} to {LARGEST_INTEGER:,}"
        if kind is float and not isfinite(value):
            return "a finite number"
        if name in odd and value % 2 == 0:
            return "an odd number"
        if name in even and value % 2:
            return "an even number"
        if name in probabilities and not 0 <= value < 1:
            return "at least 0 and below 1"
        return None

    for field in fields(config):
        value = getattr(config, field.name)
        if rule := find_broken_rule(field.name, get_origin(field.type) or field.type, value):
            raise InvalidArgument(f"{field.name}: expected {rule}, got {reprlib.repr(value)}")
