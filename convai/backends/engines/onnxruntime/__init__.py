"""ONNX networks on the CPU."""
