"""Jasper, the CTC speech recognition network."""
