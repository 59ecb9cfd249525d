"""Exports networks into the model repository, each compared with the network it came from."""
