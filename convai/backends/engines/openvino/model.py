"""Runs model.onnx on the CPU, under the name of Triton's own OpenVINO backend."""

from convai.backends.engines.engine import network_model
from convai.backends.engines.openvino.network import OpenVinoNetwork

TritonPythonModel = network_model(OpenVinoNetwork)
