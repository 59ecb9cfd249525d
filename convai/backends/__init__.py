"""What runs inside and around the Triton server."""
