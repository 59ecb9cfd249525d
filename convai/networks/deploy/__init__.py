"""Turns a PyTorch network of the user's own into a Triton model folder."""
