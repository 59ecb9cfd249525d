"""What starts, watches and stops tritonserver."""
