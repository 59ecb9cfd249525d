"""Synthetic speech to train and test recognition."""
