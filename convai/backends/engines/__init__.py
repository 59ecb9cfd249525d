"""What runs an exported network on the CPU under the name of Triton's own backend."""
