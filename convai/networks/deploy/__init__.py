"""Turns a PyTorch network of the user into a Triton model folder."""
