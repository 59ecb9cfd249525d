"""WaveGlow's losses: the likelihood of the audio, and the distance of the generated spectra from it."""

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from convai.audio.voice_mel import FFT_LENGTH, HOP_LENGTH, MIN_MAGNITUDE, filterbank
from convai.networks.waveglow.model import WaveGlow

# Likelihood alone learns slowly but keeps z normal; the losses of the spectrum, through the inverse, make clear speech.
LIKELIHOOD, SPECTRUM = "likelihood", "spectrum"
RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))  # samples of window and hop
SMALLEST_MAGNITUDE = 1e-4  # of a spectrum: smaller differences are inaudible


def compute_losses(
    network: WaveGlow,
    audio: Tensor,
    mel: Tensor,
    kinds: Collection[str] = (LIKELIHOOD, SPECTRUM),
    precision: AbstractContextManager[Any] | None = None,
) -> dict[str, Tensor]:
    """The losses of a training step; "loss" is their sum.

    Parameters
    ----------
    audio : float32, shape = (batch, samples)
    mel : float32, shape = (batch, 80, samples / 256)
    kinds : LIKELIHOOD, SPECTRUM or both; the others are not computed
    precision : autocast for the network, FP32 without. Rounding to BF16 is in proportion to the signal, so silence
        stays silent and speech masks the rest.
    """
    losses: dict[str, Tensor] = {}
    n_group = network.config.n_group
    precision = precision or nullcontext()
    if LIKELIHOOD in kinds:
        with precision:
            z, log_determinant = network.encode(audio, mel)
        losses["likelihood"] = negative_log_likelihood(z.float(), log_determinant.float())
    if SPECTRUM in kinds:
        with precision:
            z = torch.randn(audio.size(0), n_group, audio.size(1) // n_group, device=audio.device)
            generated = network(mel, z)
        losses["spectrum"] = spectral_loss(generated, audio)
        losses["mel"] = F.l1_loss(log_mel(generated), log_mel(audio))
    return {"loss": sum(losses.values(), start=audio.new_zeros(())), **losses}


def negative_log_likelihood(z: Tensor, log_determinant: Tensor) -> Tensor:
    """Nats per sample, up to a constant, of audio whose z is standard normal."""
    return (z.square().sum() / 2 - log_determinant.sum()) / z.numel()


def spectral_loss(generated: Tensor, audio: Tensor) -> Tensor:
    """Distance of the magnitudes at several resolutions, relative and of the logarithms, averaged."""
    losses = [compare_spectra(generated, audio, *resolution) for resolution in RESOLUTIONS]
    return torch.stack(losses).mean()


def compare_spectra(generated: Tensor, audio: Tensor, window: int, hop: int) -> Tensor:
    magnitudes, expected = (spectrum(x, window, hop) for x in (generated, audio))
    relative = torch.linalg.norm(expected - magnitudes) / torch.linalg.norm(expected).clamp(min=1.0)
    log_expected, log_magnitudes = (x.clamp(min=SMALLEST_MAGNITUDE * window).log() for x in (expected, magnitudes))
    return relative + F.l1_loss(log_expected, log_magnitudes)


def log_mel(audio: Tensor) -> Tensor:
    """The mel of `voice_mel`, differentiable: float32, shape = (batch, 80, frames)."""
    mel = torch.from_numpy(filterbank()).to(audio.device) @ spectrum(audio, FFT_LENGTH, HOP_LENGTH)
    return mel.clamp(min=MIN_MAGNITUDE).log()


def spectrum(audio: Tensor, window: int, hop: int) -> Tensor:
    """Magnitudes: float32, shape = (batch, window / 2 + 1, frames)."""
    complex_spectrum = torch.stft(audio.float(), window, hop, window=hann(window, audio.device), return_complex=True)
    # The square root has no derivative at zero.
    return (complex_spectrum.real.square() + complex_spectrum.imag.square() + 1e-10).sqrt()


@cache
def hann(window: int, device: torch.device) -> Tensor:
    return torch.hann_window(window, device=device)
