"""TorchScript networks on the CPU."""
