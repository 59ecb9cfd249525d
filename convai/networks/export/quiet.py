"""Keeps PyTorch's messages to its own developers off the terminal during an export."""

import logging
import warnings
from contextlib import contextmanager


@contextmanager
def quiet_exporter():
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        registration.setLevel(level)
