"""Runs exported networks on the CPU under the names of Triton's own backends."""
