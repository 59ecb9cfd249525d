"""Synthetic speakers for the training differ from each other in the ways that they should."""

import numpy as np
import pytest

from convai.errors import InvalidArgument
from training.voices import kokoro
from training.voices.multi_speaker import draw_speaker
from training.voices.voices import speak

VOICES = ("af_one", "am_two", "bf_three", "hf_four", "zm_five")


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def voices(tmp_path, monkeypatch):
    """A folder of Kokoro voices whose every style holds the number of the voice."""
    for number, name in enumerate(VOICES):
        np.full((5, 256), number, np.float32).tofile(tmp_path / f"{name}.bin")
    monkeypatch.setenv(kokoro.VOICES_FOLDER, str(tmp_path))
    kokoro._voices.cache_clear()
    kokoro._style.cache_clear()


@pytest.mark.parametrize("draw", [draw_speaker, kokoro.draw_speaker])
def test_the_same_seed_is_the_same_speaker_and_another_seed_another(draw, voices):
    assert draw(rng()) == draw(rng()) != draw(rng(1))


def test_a_missing_folder_of_voices_is_named(voices, monkeypatch):
    monkeypatch.setenv(kokoro.VOICES_FOLDER, "/nowhere")
    kokoro._voices.cache_clear()
    with pytest.raises(InvalidArgument, match="KOKORO_VOICES: expected the folder .*, got '/nowhere'"):
        kokoro.draw_speaker(rng())


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with pytest.raises(InvalidArgument, match="--voice: expected engine:voice with one of flite, .*, got 'siri:one'"):
        speak("siri:one", "hello")
