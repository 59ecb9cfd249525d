"""ONNX networks on the CPU, in half the time where the processor multiplies BF16."""
