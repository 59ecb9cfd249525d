"""What turns a step into a Triton model: requests, rows, parameters, counters, failures."""
