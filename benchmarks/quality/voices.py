"""Ways to have a text spoken, to be compared: the teacher, the served pipeline, networks under training."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from convai.audio.voice_mel import mel_spectrogram
from convai.backends.steps.audio_trimmer import AudioTrimmer
from convai.backends.steps.mel_padder import MelPadder
from convai.backends.steps.text_encoder import TextEncoder
from convai.client.client import ConvaiClient
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.generator.targets import CPU
from convai.networks.checkpoints.weights import build, random_weights, read_weights
from convai.networks.registry import NETWORKS


@dataclass(frozen=True)
class Spoken:
    """
    Attributes
    ----------
    audio : float32, shape = (samples,), 22,050 Hz
    mel : float32, shape = (80, frames)
    attention : of each decoder step to each symbol, of a voice that attends; float32, shape = (steps, symbols)
    """

    audio: np.ndarray
    mel: np.ndarray
    attention: np.ndarray | None = None

    @property
    def seconds(self) -> float:
        return len(self.audio) / VOICE_SAMPLE_RATE_HERTZ


Voice = Callable[[str], Spoken]
"""Speaks a text."""


def teacher_voice(encoder: TextEncoder) -> Voice:
    from training.tacotron2.teacher import Teacher

    teacher = Teacher()

    def speak(text: str) -> Spoken:
        audio = teacher.say(encoder.spell_out(text)).audio
        return Spoken(audio, mel_spectrogram(audio))

    return speak


def served_voice(client: ConvaiClient) -> Voice:
    def speak(text: str) -> Spoken:
        answer = client.speak(text)
        assert answer.answer_audio is not None and answer.mel is not None  # both are what `speak` requests
        return Spoken(answer.answer_audio, answer.mel)

    return speak


class Vocoder:
    """WaveGlow between the steps that serving puts around it."""

    def __init__(self, weights_file: Path | None, post_filter: str):
        """Without a file, WaveGlow stays as random as it is made."""
        network = NETWORKS["waveglow"]
        weights = read_weights(network, weights_file) if weights_file else random_weights(network, "mini", seed=0)
        self.network = build(network, weights, seed=0)
        self.padder = MelPadder(
            n_group=weights.config.n_group,
            receptive_field_frames=weights.config.receptive_field_frames,
            **CPU.buckets.parameters_of("mel_padder"),
        )
        self.trimmer = AudioTrimmer(post_filter=post_filter)

    def __call__(self, mel: np.ndarray) -> Spoken:
        length = np.array([mel.shape[1]], np.int32)
        padded = self.padder(decoded_mel=mel, mel_length=length)
        with torch.inference_mode():
            audio = self.network(*(torch.from_numpy(padded[name])[None] for name in ("padded_mel", "z")))[0].numpy()
        trimmed = self.trimmer(audio=audio, padded_mel=padded["padded_mel"], mel_length=length)
        return Spoken(trimmed["answer_audio"], mel)


def resynthesis(voice: Voice, vocoder: Vocoder) -> Voice:
    """Another voice's mels, spoken by a vocoder."""
    return lambda text: vocoder(voice(text).mel)


def tacotron2_voice(weights_file: Path, encoder: TextEncoder, vocoder: Vocoder) -> Voice:
    network: Any = build(NETWORKS["tacotron2"], read_weights(NETWORKS["tacotron2"], weights_file), seed=0)

    def speak(text: str) -> Spoken:
        encoded = encoder(text=text)
        symbols, symbols_length = (torch.from_numpy(encoded[name])[None] for name in ("symbol_ids", "symbols_length"))
        with torch.inference_mode():
            mel, length = network(symbols, symbols_length)
            mel = mel[:, :, : max(network.n_frames_per_step, int(length))]
            # Decoding does not tell where it attended; hearing its own mel again, the network attends much as it did.
            *_, attention = network.teacher_forced(symbols, symbols_length, mel, length)
        return replace(vocoder(mel[0].numpy()), attention=attention[0, :, : int(symbols_length)].numpy())

    return speak
