"""Trains Jasper."""
