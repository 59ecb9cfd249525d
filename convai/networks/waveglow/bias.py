"""Measures WaveGlow's constant noise at export, for the denoiser of the step `audio_trimmer`."""

import io
from pathlib import Path

import numpy as np
import torch

from convai.audio.voice_mel import HOP_LENGTH, stft
from convai.description.pipeline import NUM_MELS, VOCODER_BIAS_FILE
from convai.networks.network import SideFile
from convai.networks.waveglow.model import WaveGlow, WaveGlowConfig

EMPTY_MEL_FRAMES = 88  # as in NVIDIA's denoiser


@torch.inference_mode()
def measure_bias(network: WaveGlow) -> np.ndarray:
    """Return the spectrum of the output for a mel of zeros without noise.

    Returns
    -------
    magnitudes of its first frame : float32, shape = (513,)
    """
    mel = torch.zeros(1, NUM_MELS, EMPTY_MEL_FRAMES)
    z = torch.zeros(1, network.config.n_group, EMPTY_MEL_FRAMES * HOP_LENGTH // network.config.n_group)
    return np.abs(stft(network(mel, z)[0].numpy()))[:, 0]


def encode_bias(network: WaveGlow, _config: WaveGlowConfig) -> bytes:
    """Return the bias spectrum as an npy file."""
    file = io.BytesIO()
    np.save(file, measure_bias(network))
    return file.getvalue()


BIAS_SIDE_FILE = SideFile(Path("audio_trimmer", "1", VOCODER_BIAS_FILE), encode_bias)
