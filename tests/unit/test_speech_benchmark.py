from dataclasses import replace

import numpy as np
import pytest
import torch
from benchmarks.quality.prosody import Likeness, Speech, correlation, likeness

from benchmarks.quality.speech import (
    is_cut,
    is_empty,
    is_runaway,
    levels,
    measure_voice,
    peak_dbfs,
)
from benchmarks.quality.speech_pictures import draw, picture
from benchmarks.quality.voices import Spoken, Vocoder, resynthesis, tacotron2_voice
from convai.audio.voice_mel import mel_spectrogram
from convai.backends.steps.text_encoder import TextEncoder
from convai.networks.checkpoints.quantised import save
from convai.networks.tacotron2.model import CONFIGS, Tacotron2

RATE = 22_050


def tone(seconds: float, amplitude: float = 0.5, pause_seconds: float = 0.1) -> Spoken:
    """A tone between two pauses."""
    pause = np.zeros(round(pause_seconds * RATE), np.float32)
    sounding = amplitude * np.sin(2 * np.pi * 300 * np.arange(round(seconds * RATE)) / RATE)
    audio = np.concatenate((pause, sounding.astype(np.float32), pause))
    return Spoken(audio, mel_spectrogram(audio))


def test_speech_much_longer_than_the_teacher_is_a_runaway():
    assert is_runaway(tone(6), tone(2))
    assert not is_runaway(tone(3), tone(2))


def test_speech_that_ends_too_soon_or_inside_a_sound_is_cut():
    assert is_cut(tone(1), tone(2))
    assert is_cut(tone(2, pause_seconds=0), tone(2))
    assert not is_cut(tone(2), tone(2))


def test_silence_is_empty():
    assert is_empty(tone(1, amplitude=0))
    assert not is_empty(tone(1))


def test_levels_are_in_decibels_of_full_scale():
    np.testing.assert_allclose(peak_dbfs(tone(1)), -6.02, atol=0.05)
    np.testing.assert_allclose(levels(tone(1).audio).max(), -9.03, atol=0.05)


def melody(rises: bool, amplitude: float = 0.5, seconds: float = 1.0) -> np.ndarray:
    """A tone with overtones and breath that rises or falls by a fifth and swells."""
    progress = np.linspace(0, 1, round(seconds * RATE))
    hertz = 150 * 1.5 ** (progress if rises else 1 - progress)
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    sound = sum(np.sin(overtone * phase) / overtone for overtone in (1, 2, 3, 4))
    breath = np.random.default_rng(0).normal(0, 0.05, len(sound))
    return (amplitude * (0.2 + 0.8 * progress) * (sound + breath) / 2).astype(np.float32)


def test_loudness_and_tempo_do_not_count_as_difference():
    alike = likeness(Speech(melody(rises=True)), Speech(melody(rises=True, amplitude=0.3, seconds=1.2)))
    assert alike.mel_distance < 2.5
    assert alike.pitch_correlation > 0.98
    assert alike.energy_correlation > 0.98


def test_a_voice_that_rises_where_the_other_falls_is_unlike_it():
    opposite = likeness(Speech(melody(rises=True)), Speech(melody(rises=False)))
    assert opposite.pitch_correlation < 0
    hiss = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    assert likeness(Speech(melody(rises=True)), Speech(hiss)).mel_distance > 7


def test_what_never_changes_or_hardly_sounds_correlates_with_nothing():
    assert np.isnan(correlation(np.ones(50), np.arange(50.0)))
    assert np.isnan(correlation(np.full(50, np.nan), np.arange(50.0)))


def test_a_voice_is_judged_by_what_is_heard_of_it():
    texts = ["In 1944.", "Anna"]
    spoken = [tone(1), tone(1)]
    alike = [Likeness(0.0, float("nan"), 0.5), Likeness(1.0, 0.25, 1.0)]
    measured = measure_voice("someone", texts, spoken, spoken, alike, ["in nineteen forty four", "hannah"])
    assert measured.figures["WER"] == pytest.approx(100 / 5)
    for name in ("runaways", "cut", "empty"):
        assert measured.figures[name] == 0
    assert [measured.figures[name] for name in ("mel distance", "pitch", "energy")] == [0.5, 0.25, 0.75]
    assert measured.figures["pauses"] < -100


def test_networks_speak_between_the_steps_of_serving(tmp_path):
    torch.manual_seed(0)
    save(tmp_path / "tacotron2.safetensors", Tacotron2(CONFIGS["mini"]).state_dict(), metadata={"config": "mini"})
    vocoder = Vocoder(None, "mel_consistent")
    encoder = TextEncoder(buckets=(32,))
    spoken = tacotron2_voice(tmp_path / "tacotron2.safetensors", encoder, vocoder)("Hi.")
    assert spoken.mel.shape == (80, len(spoken.audio) // 256)
    assert spoken.attention.shape == (spoken.mel.shape[1] // 3, len("hi."))
    np.testing.assert_allclose(spoken.attention.sum(1), 1, atol=1e-5)
    again = resynthesis(lambda text: tone(0.3), vocoder)("Hi.")
    assert len(again.audio) == again.mel.shape[1] * 256


def test_pictures_show_every_voice(tmp_path):
    pupil = replace(tone(0.4), attention=np.eye(4, dtype=np.float32))
    draw(tmp_path, ["Price: $5 or $6"], {"teacher": [tone(0.3)], "pupil": [pupil]})
    assert (tmp_path / "000.png").stat().st_size > 10_000
    labels = [axes.get_ylabel() for axes in picture("Text", {"teacher": tone(0.3), "pupil": pupil}).axes]
    assert labels == ["mel band", "", "symbol", "mel band", ""]
