"""Turns a Python step into a Triton model: requests, rows, parameters, counters, flow control, failures."""
