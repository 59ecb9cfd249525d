"""Latency, throughput, memory, overload."""
