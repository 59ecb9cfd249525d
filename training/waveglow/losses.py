"""What WaveGlow is told about a batch: how likely it finds the audio, and how far its own audio sounds from it."""

from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from convai.audio.voice_mel import FFT_LENGTH, HOP_LENGTH, MIN_MAGNITUDE, filterbank
from convai.errors import InvalidArgument
from convai.networks.waveglow.model import WaveGlow

RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))  # samples of window and hop
SMALLEST_MAGNITUDE = 1e-4  # of a spectrum: quieter differences are not heard


@dataclass(frozen=True)
class LossWeights:
    """Likelihood alone learns slowly but keeps z normal; the spectrum's losses, through the inverse, learn to speak."""

    likelihood: float = 1.0
    spectrum: float = 1.0
    mel: float = 1.0

    def __post_init__(self):
        for name, value in vars(self).items():
            if value < 0:
                raise InvalidArgument(f"{name} must not be negative, got {value}")


def batch_losses(
    network: WaveGlow, audio: Tensor, mel: Tensor, weights: LossWeights, bfloat16: bool = False
) -> dict[str, Tensor]:
    """The losses of a training step; "loss" is their weighted sum. Losses of weight 0 are not computed.

    Parameters
    ----------
    audio : float32, shape = (batch, samples); mel : float32, shape = (batch, 80, samples / 256)
    """
    parts: dict[str, Tensor] = {}
    n_group = network.config.n_group
    # Rounding to BF16 is in proportion to the signal, so silence stays silent and speech hides the rest.
    precision = torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)
    if weights.likelihood:
        with precision:
            z, log_determinant = network.encode(audio, mel)
        parts["likelihood"] = negative_log_likelihood(z.float(), log_determinant.float())
    if weights.spectrum or weights.mel:
        with precision:
            made = network(mel, torch.randn(audio.size(0), n_group, audio.size(1) // n_group))
        parts["spectrum"] = spectral_loss(made, audio)
        parts["mel"] = F.l1_loss(log_mel(made), log_mel(audio))
    return {
        "loss": sum((getattr(weights, name) * part for name, part in parts.items()), start=torch.zeros(())),
        **parts,
    }


def negative_log_likelihood(z: Tensor, log_determinant: Tensor) -> Tensor:
    """Nats per sample, up to a constant, of audio whose z is standard normal."""
    return (z.square().sum() / 2 - log_determinant.sum()) / z.numel()


def spectral_loss(made: Tensor, audio: Tensor) -> Tensor:
    """Distance of the magnitudes at several resolutions, relative and as logarithms, averaged."""
    losses = [one_resolution(made, audio, *resolution) for resolution in RESOLUTIONS]
    return torch.stack(losses).mean()


def one_resolution(made: Tensor, audio: Tensor, window: int, hop: int) -> Tensor:
    magnitudes, wanted = (spectrum(x, window, hop) for x in (made, audio))
    relative = torch.linalg.norm(wanted - magnitudes) / torch.linalg.norm(wanted).clamp(min=1.0)
    log_wanted, log_magnitudes = (x.clamp(min=SMALLEST_MAGNITUDE * window).log() for x in (wanted, magnitudes))
    return relative + F.l1_loss(log_wanted, log_magnitudes)


def log_mel(audio: Tensor) -> Tensor:
    """The mel of `voice_mel`, differentiable: float32, shape = (batch, 80, frames)."""
    mel = torch.from_numpy(filterbank()) @ spectrum(audio, FFT_LENGTH, HOP_LENGTH)
    return mel.clamp(min=MIN_MAGNITUDE).log()


def spectrum(audio: Tensor, window: int, hop: int) -> Tensor:
    """Magnitudes: float32, shape = (batch, window / 2 + 1, frames)."""
    complex_spectrum = torch.stft(audio.float(), window, hop, window=hann(window), return_complex=True)
    # The square root has no slope at zero.
    return (complex_spectrum.real.square() + complex_spectrum.imag.square() + 1e-10).sqrt()


@cache
def hann(window: int) -> Tensor:
    return torch.hann_window(window)
