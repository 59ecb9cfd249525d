"""Tacotron 2, from text symbols to a mel spectrogram."""
