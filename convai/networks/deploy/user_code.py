"""Builds a network of the user's own, and tells in one sentence what went wrong inside the user's code."""

import importlib
import os
import re
import sys
import traceback
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from convai.errors import InvalidArgument

NETWORKS = str(Path(__file__).parent.parent)


def build_module(spec: str) -> nn.Module:
    """Import "package:factory", from the current directory too, and call the factory; the network is in eval mode."""
    package, _, factory = spec.partition(":")
    if not package or not factory:
        raise InvalidArgument(f"--module is {spec!r}; allowed is package:factory, like my_models.text:build")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    with user_code(f"--module {spec}"):
        module = getattr(importlib.import_module(package), factory)()
    if not isinstance(module, nn.Module):
        raise InvalidArgument(f"--module {spec} returned a {type(module).__name__}; allowed is a torch.nn.Module")
    return module.cpu().eval()


@contextmanager
def user_code(what: str):
    """Turn whatever the code inside raises into a InvalidArgument that names `what` was going on and the user's line."""
    try:
        yield
    except Exception as error:
        raise InvalidArgument(f"{what}: {summary(error)}") from error


def summary(error: Exception) -> str:
    """One line: what happened, and the deepest line of the traceback that is neither ours nor a library's."""
    # Exporters put what they tripped over into the cause, and general advice into the error itself.
    origin = error.__cause__ or error
    lines = [line.strip() for line in str(origin).splitlines() if line.strip()] or [""]
    text = lines[-1] if "TorchScript interpreter" in lines[0] else f"{type(origin).__name__}: {lines[0]}"
    place = users_line(origin) or users_line(error)
    return text.rstrip(":") + (f" ({place})" if place else "")


def users_line(error: BaseException) -> str:
    not_theirs = (NETWORKS, sys.prefix, sys.base_prefix, "code/__torch__", "<")
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    places += re.findall(r'File "(.+?)", line (\d+)', str(error))  # the script compiler's way to say it
    theirs = [(file, line) for file, line in places if not file.startswith(not_theirs)]
    return f"{Path(theirs[-1][0]).name}, line {theirs[-1][1]}" if theirs else ""
