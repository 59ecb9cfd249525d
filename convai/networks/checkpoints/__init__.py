"""Reads weights: our own files, and those that NVIDIA and Hugging Face publish."""
