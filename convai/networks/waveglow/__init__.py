"""WaveGlow, the vocoder: a mel spectrogram -> audio."""
