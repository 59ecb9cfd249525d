"""The four networks, one folder each, the readers of their checkpoints, and their export and deployment."""
