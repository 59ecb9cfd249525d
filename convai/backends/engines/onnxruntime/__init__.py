"""ONNX networks on the CPU in ONNX Runtime."""
