import numpy as np
import torch

from benchmarks.quality.voice import Vocoder, is_cut, is_empty, is_runaway, load_tacotron2, make_resynthesis
from convai.backends.steps.text_encoder import TextEncoder
from convai.networks.checkpoints.quantised import save
from convai.networks.tacotron2.model import CONFIGS, Tacotron2

RATE = 22_050


def tone(seconds: float, amplitude: float = 0.5, pause_seconds: float = 0.1) -> np.ndarray:
    """A tone between two pauses."""
    pause = np.zeros(round(pause_seconds * RATE), np.float32)
    sounding = amplitude * np.sin(2 * np.pi * 300 * np.arange(round(seconds * RATE)) / RATE)
    return np.concatenate((pause, sounding.astype(np.float32), pause))


def test_speech_that_never_ends_ends_too_early_or_inside_a_sound_or_is_silent_is_noticed():
    assert is_runaway(tone(6), tone(2)) and not is_runaway(tone(3), tone(2))
    assert is_cut(tone(1), tone(2)) and not is_cut(tone(2), tone(2))
    assert is_cut(tone(2, pause_seconds=0), tone(2))
    assert is_empty(tone(1, amplitude=0)) and not is_empty(tone(1))


def test_networks_speak_between_the_steps_of_serving(tmp_path):
    torch.manual_seed(0)
    save(tmp_path / "tacotron2.safetensors", Tacotron2(CONFIGS["mini"]).state_dict(), metadata={"config": "mini"})
    vocoder = Vocoder(None, "mel_consistent")
    speak = load_tacotron2(tmp_path / "tacotron2.safetensors", TextEncoder(buckets=(32,)), vocoder)
    for audio in (speak("Hi."), make_resynthesis(lambda text: tone(0.3), vocoder)("Hi.")):
        assert len(audio) > 0 and len(audio) % 256 == 0
