"""Runs model.pt (TorchScript) on the CPU, under the name of Triton's own LibTorch backend."""

from convai.backends.engines.engine import network_model
from convai.backends.engines.pytorch.network import TorchScriptNetwork

TritonPythonModel = network_model(TorchScriptNetwork)
