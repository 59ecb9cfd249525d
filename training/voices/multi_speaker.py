"""Speech of many speakers from one synthetic voice: each sentence has a new speaker, and some have an accent.

hibari's network makes a source (pitch) and filters (spectra) before they become sound. A speaker is a change of these:
pitch and its range, length of the vocal tract, tilt of the spectrum, breath, formants. An accent replaces phonemes by
those that speakers of another first language tend to use.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

SAMPLE_RATE_HERTZ = 24_000
NYQUIST_HERTZ = SAMPLE_RATE_HERTZ / 2
VOICED_ABOVE_HERTZ = 40.0  # hibari writes 0 for unvoiced frames
LOWEST_PITCH_HERTZ = 55.0
PEAK = 0.7
ACCENTED_SHARE = 0.35  # of all speakers
SUBSTITUTION_RANGE = (0.15, 0.5)  # probability that an accented speaker replaces a phoneme
FORMANT_HERTZ = (0.0, 600.0, 1_500.0, 2_500.0, 3_800.0, NYQUIST_HERTZ)
BAND_HERTZ = (100.0, 300.0, 700.0, 1_500.0, 2_500.0, 4_000.0, 6_000.0, 8_000.0)

WORD_END = "(?=[ .,])"
# pattern>replacement over hibari's phonemes; # is the end of a word.
ACCENTS = {
    "indian": "θ>t ð>d w>v T>t æ>ɛ z>s ʒ>ʃ ʌ>ɑ",
    "german": "θ>s ð>z w>v æ>ɛ ʤ>ʧ T>t d#>t b#>p ɡ#>k z#>s v#>f",
    "french": "θ>s ð>z h> ɪ>i ʊ>u æ>ɑ ʤ>ʒ ʧ>ʃ ŋ>n",
    "mandarin": "θ>s ð>d v>w ɪ>i ʊ>u æ>ɛ z>s ŋ>n l#>O (?<=[tkdɡ])#>ə (?<=[mnszv])[td]#>",
    "spanish": "ɪ>i ʊ>u æ>ɑ ʌ>ɑ v>b z>s ʃ>ʧ ʤ>j ð>d θ>t",
    "japanese": "l>ɾ ɹ(?=[aeiouɑɔəɛɪʊʌæAIOWY])>ɾ θ>s ð>z v>b æ>ɑ ʌ>ɑ",
    "british": "T>t ɹ#> ɹ(?=[bdfɡhʤklmnpstvzðθʃʧ])> æ(?=[sfθ])>ɑ",
    "african": "θ>t ð>d ɪ>i ʊ>u ʌ>ɔ ə#>a æ>a ɜɹ>ɛ",
}


@dataclass(frozen=True)
class Speaker:
    """Differences from hibari's own voice; factors of 1 and gains of 0 make none."""

    pitch: float
    pitch_range: float
    vocal_tract: float  # factor on all formants; below 1 is a longer tract
    formants: tuple[float, ...]  # relative shift of four regions, in ascending frequency
    tilt_decibels_per_octave: float
    breath_decibels: float
    band_decibels: tuple[float, ...]
    jitter: float
    speed: float
    accent: str | None
    accent_strength: float


def draw_speaker(rng: np.random.Generator) -> Speaker:
    """Draw a speaker. A low pitch and a short vocal tract never occur together: such speech is hardly intelligible."""
    is_low = rng.random() < 0.55
    pitch = np.exp(rng.uniform(np.log(0.45), np.log(0.72)) if is_low else rng.uniform(np.log(0.8), np.log(1.25)))
    return Speaker(
        pitch=float(pitch),
        pitch_range=float(rng.uniform(0.4, 1.5)),
        vocal_tract=float(rng.uniform(0.82, 0.95) if is_low else rng.uniform(0.93, 1.12)),
        formants=tuple(rng.normal(0, 0.03, 4)),
        tilt_decibels_per_octave=float(rng.uniform(-3, 3)),
        breath_decibels=float(rng.uniform(-3, 6)),
        band_decibels=tuple(rng.normal(0, 2.5, len(BAND_HERTZ))),
        jitter=float(rng.uniform(0, 0.015)),
        speed=float(rng.uniform(0.78, 1.3)),
        accent=str(rng.choice(list(ACCENTS))) if rng.random() < ACCENTED_SHARE else None,
        accent_strength=float(rng.uniform(*SUBSTITUTION_RANGE)),
    )


def speak_as(speaker: Speaker, sentence: str, rng: np.random.Generator) -> np.ndarray:
    """Say a sentence: float32, shape = (samples,), 24 kHz."""
    voice = load_hibari()
    parts = [_render(_describe(phonemes, speaker, rng), speaker, rng) for phonemes in voice.phonemize(sentence)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def apply_accent(phonemes: str, accent: str | None, strength: float, rng: np.random.Generator) -> str:
    """Replace phonemes as in one of ACCENTS, each with probability `strength`."""
    if accent is None:
        return phonemes
    changed = phonemes + " "
    for rule in ACCENTS[accent].split():
        pattern, _, replacement = rule.rpartition(">")
        changed = re.sub(
            pattern.replace("#", WORD_END),
            lambda found, new=replacement: new if rng.random() < strength else found.group(),
            changed,
        )
    return changed.strip()


@cache
def load_hibari(british: bool = False) -> Any:
    from hibari import Hibari
    from hibari.g2p import G2P

    return Hibari(g2p=G2P(british=True)) if british else Hibari()


def _describe(phonemes: str, speaker: Speaker, rng: np.random.Generator) -> list[np.ndarray]:
    """Log harmonic, phase, log noise, log free, free phase, each (bins, frames), and pitch in hertz, (frames,)."""
    voice, accented = load_hibari(), apply_accent(phonemes, speaker.accent, speaker.accent_strength, rng)
    inputs = {"ids": np.asarray([voice.ids(accented)], np.int64), "speed": np.array([speaker.speed], np.float32)}
    return [part[0] for part in voice.sess.run(None, inputs)]


def _render(spectra: list[np.ndarray], speaker: Speaker, rng: np.random.Generator) -> np.ndarray:
    from hibari import dsp

    harmonic, theta, noise, free, phase, pitch = spectra
    hertz = np.linspace(0, NYQUIST_HERTZ, len(harmonic))
    sources = find_source_bins(hertz, speaker)
    gains = _compute_gains(hertz, speaker)[:, None]
    voiced = pitch > VOICED_ABOVE_HERTZ
    # A lower pitch has more harmonics below the same frequency: keep the level.
    level = np.float32(0.5 * np.log(speaker.pitch))
    breath = np.float32(speaker.breath_decibels * np.log(10) / 20) * voiced
    nearest = np.round(sources).astype(int)  # phases cannot be interpolated
    audio = dsp.synth(
        _warp(harmonic, sources) + gains + level,
        _warp(theta, sources),
        _warp(noise, sources) + gains + breath,
        _warp(free, sources) + gains,
        phase[nearest],
        change_pitch(pitch, voiced, speaker, rng),
        np.random.default_rng(rng.integers(1 << 31)),
    )
    return np.nan_to_num(audio / max(1e-6, np.abs(audio).max()) * PEAK).astype(np.float32)


def find_source_bins(hertz: np.ndarray, speaker: Speaker) -> np.ndarray:
    """Bin of hibari's voice from which each bin takes its value: float64, shape = (bins,)."""
    local = np.interp(hertz, FORMANT_HERTZ, (0.0, *speaker.formants, 0.0))
    return np.clip(np.arange(len(hertz)) / (speaker.vocal_tract * (1 + local)), 0, len(hertz) - 1)


def _warp(spectrum: np.ndarray, sources: np.ndarray) -> np.ndarray:
    below = np.minimum(sources.astype(int), len(spectrum) - 2)
    share = (sources - below).astype(np.float32)[:, None]
    return spectrum[below] * (1 - share) + spectrum[below + 1] * share


def _compute_gains(hertz: np.ndarray, speaker: Speaker) -> np.ndarray:
    """Natural logarithm of the gain of each bin over hibari's voice: float32, shape = (bins,)."""
    octaves = np.log2(np.maximum(hertz, 100) / 1_000)
    decibels = speaker.tilt_decibels_per_octave * octaves + np.interp(hertz, BAND_HERTZ, speaker.band_decibels)
    return (np.clip(decibels, -15, 15) * np.log(10) / 20).astype(np.float32)


def change_pitch(pitch: np.ndarray, voiced: np.ndarray, speaker: Speaker, rng: np.random.Generator) -> np.ndarray:
    """Change pitch, its range about the mean, and its steadiness: float32, shape = (frames,), hertz, 0 if unvoiced."""
    if not voiced.any():
        return pitch
    mean = np.exp(np.log(pitch[voiced]).mean())
    changed = mean * speaker.pitch * (np.maximum(pitch, 1) / mean) ** speaker.pitch_range
    unsteadiness = np.convolve(rng.normal(0, 1, len(pitch) + 2), np.ones(3) / 3, "valid")
    changed = np.maximum(changed * (1 + speaker.jitter * unsteadiness), LOWEST_PITCH_HERTZ)
    return np.where(voiced, changed, 0).astype(np.float32)
