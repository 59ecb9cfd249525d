"""Trains Tacotron 2."""
