"""Trains WaveGlow."""
