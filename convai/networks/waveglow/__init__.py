"""WaveGlow, from a mel spectrogram to audio."""
