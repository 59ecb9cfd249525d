"""What WaveGlow hums to an empty mel: measured at export for the denoiser of the step `audio_trimmer`."""

from pathlib import Path

import numpy as np
import torch

from convai.audio.voice_mel import HOP_LENGTH, stft
from convai.description.pipeline import NUM_MELS, VOCODER_BIAS_FILE
from convai.networks.waveglow.model import WaveGlow, WaveGlowConfig

EMPTY_MEL_FRAMES = 88  # as in NVIDIA's denoiser
BIAS_FILE = Path("audio_trimmer", "1", VOCODER_BIAS_FILE)  # in the model repository


@torch.inference_mode()
def bias_spectrum(network: WaveGlow) -> np.ndarray:
    """Magnitudes of the first frame of the answer to a mel of zeros without noise: float32, shape = (513,)."""
    mel = torch.zeros(1, NUM_MELS, EMPTY_MEL_FRAMES)
    z = torch.zeros(1, network.config.n_group, EMPTY_MEL_FRAMES * HOP_LENGTH // network.config.n_group)
    return np.abs(stft(network(mel, z)[0].numpy()))[:, 0]


def write_companion(network: WaveGlow, _config: WaveGlowConfig, model_repository: Path) -> None:
    """Write the bias where `audio_trimmer` looks for it."""
    path = model_repository / BIAS_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, bias_spectrum(network))
