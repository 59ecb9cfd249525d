"""Options of a NeMo configuration: what a network here can do is taken, all else is refused by name and value."""

import reprlib
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from convai.arrays import Array
from convai.errors import InvalidArgument

LARGEST_FILTER_DIFFERENCE = 1e-5  # of a filter whose values reach some hundredths


def section(config: Mapping[str, Any], name: str, class_name: str) -> dict[str, Any]:
    """The options of one part of a network, made by a class of this name; raises InvalidArgument if it is another."""
    part = config.get(name)
    if not isinstance(part, Mapping):
        raise InvalidArgument(f"{name} is {brief(part)}; allowed is a table of options")
    target = str(part.get("_target_", part.get("cls", ""))).rpartition(".")[2]
    if target != class_name:
        raise InvalidArgument(f"{name} is made by {target or 'no class'}; allowed is {class_name}")
    inner = part.get("params", {})  # where NeMo 0.x kept them
    options = {**part, **inner} if isinstance(inner, Mapping) else dict(part)
    return {option: value for option, value in options.items() if option not in ("_target_", "cls", "params")}


def check(
    where: str, options: Mapping[str, Any], fixed: Mapping[str, object | tuple[object, ...]], free: Collection[str]
) -> None:
    """Raise InvalidArgument for an option that is neither `free` nor one of the values of `fixed`."""
    for name, value in options.items():
        if name in fixed:
            allowed = fixed[name]
            allowed = allowed if isinstance(allowed, tuple) else (allowed,)
            if not any(is_same(value, one) for one in allowed):
                rule = " or ".join("none" if one is None else repr(one) for one in allowed)
                raise InvalidArgument(f"{where}.{name} is {brief(value)}; allowed is {rule}")
        elif name not in free:
            raise InvalidArgument(f"{where}.{name} is {brief(value)}; the network here has no such option")


def is_same(value: object, allowed: object) -> bool:
    if isinstance(allowed, bool) or isinstance(value, bool) or allowed is None:
        return value is allowed
    if isinstance(allowed, float | int):
        number = number_of(value)
        return number is not None and abs(number - allowed) <= 1e-9 * abs(allowed)
    return value == allowed


def number_of(value: object) -> float | None:
    """A number, also one such as 1e-5, which YAML 1.1 takes for a text; None if it is none."""
    try:
        return None if isinstance(value, bool) or not isinstance(value, str | float | int) else float(value)
    except ValueError:
        return None


def whole(where: str, options: Mapping[str, Any], name: str) -> int:
    value = options.get(name)
    if type(value) is not int:
        raise InvalidArgument(f"{where}.{name} is {brief(value)}; allowed is a whole number")
    return value


def flag(where: str, options: Mapping[str, Any], name: str, default: bool) -> bool:
    value = options.get(name, default)
    if type(value) is not bool:
        raise InvalidArgument(f"{where}.{name} is {brief(value)}; allowed is true or false")
    return value


def texts(where: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidArgument(f"{where} is {brief(value)}; allowed is a list of texts")
    return value


def brief(value: object) -> str:
    return "none" if value is None else reprlib.repr(value)


def check_filters(tensors: Mapping[str, Tensor], key: str, ours: Array) -> None:
    """Compare the mel filters that the file keeps beside its weights with those of the steps here."""
    if key in tensors:
        theirs = tensors[key].float().numpy().reshape(-1, tensors[key].shape[-1])
        if theirs.shape != ours.shape or np.abs(theirs - ours).max() > LARGEST_FILTER_DIFFERENCE:
            raise InvalidArgument(f"its mel filters {key} are not the {len(ours)} of Slaney's scale that are used here")
