"""Augments training speech with other speakers, rooms, noises and microphones, on the log-mel.

The log-mel is a power spectrum, so powers of noise and echo add to it. That costs 10 % of the same on samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import scipy.signal

from convai.audio.mel_filters import mel_frequencies
from convai.backends.steps.speech_features import FRAMES_PER_SECOND
from convai.description.pipeline import NUM_FEATURES, SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument
from training.jasper.data import served_features

NOISE_FRAMES = 4096
# Nepers from the lowest feature to the highest. Through pre-emphasis and mel filters white noise, such as the hiss of a
# microphone, rises by some 8, pink noise by 3, and brown noise falls by 2.
NOISE_TILT = (-6.0, 8.0)
LOWEST_LOG_MEL = -46.0  # of digital silence
SHARES = (
    *("room_share", "margin_share", "noise_share", "recorded_noise_share"),
    *("babble_share", "click_share", "hum_share", "narrow_share"),
)


@dataclass(frozen=True)
class AugmentConfig:
    """How often and how far training speech is changed; values are drawn uniformly from the ranges."""

    tempo: tuple[float, float] = (0.88, 1.15)
    vocal_tract: tuple[float, float] = (0.88, 1.12)  # factor on the frequencies of the formants
    room_share: float = 0.3
    reverberation_seconds: tuple[float, float] = (0.15, 0.7)  # until the echo has lost 60 dB
    echo_decibels: tuple[float, float] = (-18.0, -3.0)  # power of the whole echo over the direct sound
    margin_share: float = 0.3
    margin_seconds: tuple[float, float] = (0.1, 0.8)  # of background before and after the speech
    noise_share: float = 0.6
    noise_decibels: tuple[float, float] = (-5.0, 35.0)  # loud speech over the loudest feature of the noise
    recorded_noise_share: float = 0.3  # if there are recordings of noise
    recorded_noise_decibels: tuple[float, float] = (0.0, 30.0)
    babble_share: float = 0.15  # other speakers in the background
    babble_decibels: tuple[float, float] = (5.0, 30.0)
    click_share: float = 0.1
    hum_share: float = 0.1
    narrow_share: float = 0.05  # telephones: nothing above 3.4 to 4 kHz
    frequency_masks: int = 2
    frequency_mask_features: int = 8
    time_masks_per_second: float = 0.5
    time_mask_frames: int = 8

    def weaken(self, strength: float) -> "AugmentConfig":
        """Make rooms, noises and masks rarer: an untrained network learns faster from cleaner speech."""
        if not 0 <= strength <= 1:
            raise InvalidArgument(f"--augmentation: expected 0 to 1, got {strength:g}")
        shares = (*SHARES, "time_masks_per_second")
        return replace(
            self,
            frequency_mask_features=round(strength * self.frequency_mask_features),
            **{name: strength * getattr(self, name) for name in shares},
        )


def augment(
    log_mel: np.ndarray,
    config: AugmentConfig,
    rng: np.random.Generator,
    others: Sequence[np.ndarray] = (),
    noises: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """Change one clip at random and normalise it as serving does.

    Parameters
    ----------
    log_mel : float16, shape = (frames, 64), before normalisation
    others : likewise; one to three of them may speak in the background
    noises : likewise, of recorded noise

    Returns
    -------
    float32, shape = (64, frames of the changed clip)
    """
    speech = change_tempo(log_mel.astype(np.float32).T, rng.uniform(*config.tempo))
    speech = vocal_tract_warp(round(rng.uniform(*config.vocal_tract), 2)) @ speech
    if rng.random() < config.margin_share:
        speech = add_margins(speech, config, rng)
    power = np.exp(speech)
    if rng.random() < config.room_share:
        power = add_echo(power, rng.uniform(*config.reverberation_seconds), rng.uniform(*config.echo_decibels))
    if rng.random() < config.noise_share:
        power = add_noise(power, rng.uniform(*config.noise_decibels), rng)
    if others and rng.random() < config.babble_share:
        babble = [others[index] for index in rng.integers(0, len(others), rng.integers(1, 4))]
        power = add_background(power, babble, rng.uniform(*config.babble_decibels), rng)
    if noises and rng.random() < config.recorded_noise_share:
        noise = noises[rng.integers(len(noises))]
        power = add_background(power, [noise], rng.uniform(*config.recorded_noise_decibels), rng)
    if rng.random() < config.click_share:
        power = add_clicks(power, rng)
    if rng.random() < config.hum_share:
        power = add_hum(power, rng)
    speech = np.log(power + np.float32(np.exp(LOWEST_LOG_MEL)))
    if rng.random() < config.narrow_share:
        speech[rng.integers(42, 47) :] = rng.uniform(-30, -12)
    return mask(served_features().normalized(speech), config, rng)


def change_tempo(log_mel: np.ndarray, tempo: float) -> np.ndarray:
    """Change the tempo but not the pitch: frames are interpolated."""
    frames = log_mel.shape[1]
    positions = np.linspace(0, frames - 1, max(2, round(frames / tempo)), dtype=np.float32)
    earlier = np.minimum(positions.astype(np.int64), frames - 2)
    share = positions - earlier
    return log_mel[:, earlier] * (1 - share) + log_mel[:, earlier + 1] * share


@cache
def vocal_tract_warp(factor: float) -> np.ndarray:
    """Matrix that multiplies every feature's frequency by `factor`, as a shorter vocal tract does; shape = (64, 64)."""
    centres = mel_frequencies(NUM_FEATURES + 2, SAMPLE_RATE_HERTZ / 2)[1:-1]
    sources = np.interp(centres / factor, centres, np.arange(NUM_FEATURES))
    return np.maximum(0, 1 - np.abs(sources[:, None] - np.arange(NUM_FEATURES))).astype(np.float32)


def add_margins(log_mel: np.ndarray, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """Add background before and after the speech, at the level of the clip's quietest frames."""
    background = np.percentile(log_mel, 5, axis=1, keepdims=True)
    before, after = (round(rng.uniform(*config.margin_seconds) * FRAMES_PER_SECOND) for _ in range(2))
    margins = np.repeat(background, before + after, axis=1) + rng.normal(0, 0.5, (1, before + after))
    return np.concatenate([margins[:, :before], log_mel, margins[:, before:]], axis=1).astype(np.float32)


def add_echo(power: np.ndarray, reverberation_seconds: float, echo_decibels: float) -> np.ndarray:
    """Let every feature's power, shape = (64, frames), decay exponentially, as in a room."""
    decay = 10 ** (-6 / (reverberation_seconds * FRAMES_PER_SECOND))
    gain = 10 ** (echo_decibels / 10) * (1 - decay) / decay
    return np.asarray(scipy.signal.lfilter([1, (gain - 1) * decay], [1, -decay], power, axis=1), np.float32)


def add_noise(power: np.ndarray, decibels: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise of a random colour, whose loudest feature is `decibels` below loud speech."""
    loud = loudness(power)
    tilt = np.linspace(0, rng.uniform(*NOISE_TILT), NUM_FEATURES)
    colour = tilt + np.interp(np.arange(NUM_FEATURES), np.linspace(0, NUM_FEATURES - 1, 8), rng.normal(0, 1, 8))
    level = np.exp(colour - colour.max()) * loud * 10 ** (-decibels / 10)
    start = rng.integers(0, NOISE_FRAMES - power.shape[1]) if power.shape[1] < NOISE_FRAMES else 0
    noise = np.resize(white_noise()[start:], (power.shape[1], NUM_FEATURES)).T
    return power + level[:, None].astype(np.float32) * noise


def loudness(power: np.ndarray) -> np.float32:
    """Mean power of the loud frames of a clip, shape = (64, frames)."""
    return np.percentile(power.mean(axis=0), 90)


def add_background(
    power: np.ndarray, backgrounds: Sequence[np.ndarray], decibels: float, rng: np.random.Generator
) -> np.ndarray:
    """Add other recordings from a random start; the mean power of each is `decibels` below that of loud speech."""
    frames = power.shape[1]
    added = np.zeros_like(power)
    for background in backgrounds:
        other = np.exp(background.astype(np.float32).T)
        repeated = np.tile(other, -(-frames // other.shape[1]))
        added += np.roll(repeated, rng.integers(0, repeated.shape[1]), axis=1)[:, :frames] / other.mean()
    return power + added * np.float32(loudness(power) * 10 ** (-decibels / 10))


def add_clicks(power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add up to three clicks a second, such as of keys, each of 20 to 60 ms and in all features."""
    frames = power.shape[1]
    gain = np.zeros(frames, np.float32)
    for start in rng.integers(0, frames, rng.poisson(1 + rng.uniform(0, 3) * frames / FRAMES_PER_SECOND)):
        length = rng.integers(2, 7)
        end = min(frames, start + length)
        gain[start:end] += (10 ** rng.uniform(-3, 0)) * np.exp(-np.arange(end - start, dtype=np.float32))
    colour = np.exp(np.linspace(0, rng.uniform(-3, 3), NUM_FEATURES, dtype=np.float32))[:, None]
    return power + loudness(power) * colour * gain


def add_hum(power: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add hum, such as of mains and fans: a few steady features, 10 dB above to 25 dB below loud speech."""
    hum = np.zeros((NUM_FEATURES, 1), np.float32)
    highest = rng.integers(3, 24)
    for feature in rng.integers(0, highest, rng.integers(1, 5)):
        hum[feature] = 10 ** rng.uniform(-2.5, 1)
    return power + loudness(power) * hum


@cache
def white_noise() -> np.ndarray:
    """Power of white noise, with mean 1: float32, shape = (4096, 64). Wide features fluctuate less."""
    frequencies = mel_frequencies(NUM_FEATURES + 2, SAMPLE_RATE_HERTZ / 2)
    fft_bins = (frequencies[2:] - frequencies[:-2]) / 2 / (SAMPLE_RATE_HERTZ / 320)
    freedom = np.maximum(1.0, fft_bins)
    return (np.random.default_rng(0).gamma(freedom, 1 / freedom, (NOISE_FRAMES, NUM_FEATURES))).astype(np.float32)


def mask(features: np.ndarray, config: AugmentConfig, rng: np.random.Generator) -> np.ndarray:
    """SpecAugment: set some features to zero throughout, and all features for some moments."""
    frames = features.shape[1]
    for _ in range(config.frequency_masks):
        width = rng.integers(0, config.frequency_mask_features + 1)
        start = rng.integers(0, NUM_FEATURES - width + 1)
        features[start : start + width] = 0
    for _ in range(round(config.time_masks_per_second * frames / FRAMES_PER_SECOND)):
        width = rng.integers(0, config.time_mask_frames + 1)
        start = rng.integers(0, max(1, frames - width))
        features[:, start : start + width] = 0
    return features
