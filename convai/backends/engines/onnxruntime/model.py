"""Runs model.onnx on the CPU, under the name of Triton's own ONNX Runtime backend."""

from convai.backends.engines.engine import network_model
from convai.backends.engines.onnxruntime.network import OnnxNetwork

TritonPythonModel = network_model(OnnxNetwork)
