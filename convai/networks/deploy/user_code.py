"""Builds a network of the user, and summarises errors in the user's code in one sentence."""

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
        raise InvalidArgument(f"--module: expected package:factory, like my_models.text:build, got {spec!r}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    with explain_errors(f"--module {spec}"):
        module = getattr(importlib.import_module(package), factory)()
    if not isinstance(module, nn.Module):
        raise InvalidArgument(f"--module {spec}: expected a torch.nn.Module, got a {type(module).__name__}")
    return module.cpu().eval()


@contextmanager
def explain_errors(what: str):
    """Turn any error of the code inside into InvalidArgument, with `what` failed and the line of the user's code."""
    try:
        yield
    except Exception as error:
        raise InvalidArgument(f"{what}: {summarise(error)}") from error


def summarise(error: Exception) -> str:
    """Return one line: the error, and the deepest line of the traceback that is neither ours nor a library's."""
    # Exporters put the actual error into the cause, and general advice into the error itself.
    origin = error.__cause__ or error
    lines = [line.strip() for line in str(origin).splitlines() if line.strip()] or [""]
    text = lines[-1] if "TorchScript interpreter" in lines[0] else f"{type(origin).__name__}: {lines[0]}"
    place = find_user_line(origin) or find_user_line(error)
    return text.rstrip(":") + (f" ({place})" if place else "")


def find_user_line(error: BaseException) -> str:
    not_user_code = (NETWORKS, sys.prefix, sys.base_prefix, "code/__torch__", "<")
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    places += re.findall(r'File "(.+?)", line (\d+)', str(error))  # as the script compiler reports it
    user_places = [(file, line) for file, line in places if not file.startswith(not_user_code)]
    return f"{Path(user_places[-1][0]).name}, line {user_places[-1][1]}" if user_places else ""
