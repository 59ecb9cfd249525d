"""Measurements of speed and quality, outside the package; README.md lists the programs."""
