"""The pipeline as data, and the configurations generated from it."""
