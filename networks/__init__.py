"""The four networks, their exports, checkpoints and training recipes."""
