"""Judges speech by an independent recogniser's word error rate, and counts runaways, cut and empty speech.

Voices: always the teacher, with which the others are compared; a running server, whole and streamed; and networks
during training. Packages: hibari-tts, moonshine-voice.
"""

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import soundfile
import soxr
import torch
from tqdm import tqdm

from benchmarks.measurements import Measurement
from convai.audio.voice_mel import mel_spectrogram
from convai.backends.steps.audio_trimmer import AudioTrimmer
from convai.backends.steps.mel_padder import MelPadder
from convai.backends.steps.text_encoder import TextEncoder
from convai.backends.steps.transcripts import spoken_form
from convai.client.client import ConvaiClient
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.generator.targets import CPU
from convai.networks.checkpoints.weights import build, random_weights, read_weights
from convai.networks.registry import NETWORKS
from training.common.texts import draw_texts

LEVEL_SECONDS = 0.02  # over which loudness is measured
PAUSE_PERCENTILE = 5  # the quietest 5 % of these frames are pauses
EMPTY_DBFS = -50.0
RUNAWAY_RATIO, CUT_RATIO = 2.0, 0.6  # of the teacher's length
LOUD_END_DBFS = -30.0  # speech that ends at such a level is cut
SILENT_DBFS = -120.0
JUDGE_SAMPLE_RATE_HERTZ = 16_000

Voice = Callable[[str], np.ndarray]
"""Speaks a text: float32, shape = (samples,), 22,050 Hz."""


def measure_voices(args: argparse.Namespace) -> list[Measurement]:
    texts = draw_texts(args.texts, args.count, args.max_words, random.Random(args.seed))
    judge = Judge()
    measurements = []
    teacher: list[np.ndarray] = []
    for name, speak in open_voices(args).items():
        spoken = [speak(text) for text in tqdm(texts, desc=name, mininterval=5)]
        teacher = teacher or spoken  # the first voice
        if args.out:
            write_recordings(args.out / name, spoken)
        transcripts = [judge.transcribe(audio) for audio in tqdm(spoken, desc=f"{name}, transcribed")]
        measurements.append(measure_voice(name, texts, spoken, teacher, transcripts))
    return measurements


def measure_voice(
    name: str, texts: Sequence[str], spoken: Sequence[np.ndarray], teacher: Sequence[np.ndarray], transcripts: list[str]
) -> Measurement:
    """Return figures in percent, and the level of pauses in dB of full scale."""
    pairs = list(zip(spoken, teacher, strict=True))
    pauses = [np.percentile(compute_levels(audio), PAUSE_PERCENTILE) for audio in spoken]
    figures = {
        "WER": 100 * jiwer.wer([spoken_form(text) for text in texts], transcripts),
        "runaways": 100 * float(np.mean([is_runaway(*pair) for pair in pairs])),
        "cut": 100 * float(np.mean([is_cut(*pair) for pair in pairs])),
        "empty": 100 * float(np.mean([is_empty(audio) for audio in spoken])),
        "pauses [dBFS]": float(np.median(pauses)),
    }
    return Measurement(name, len(texts), figures)


def compute_levels(audio: np.ndarray) -> np.ndarray:
    """Return the loudness of each frame of 20 ms: float64, shape = (frames,), dB of full scale."""
    length = round(LEVEL_SECONDS * VOICE_SAMPLE_RATE_HERTZ)
    frames = audio[: len(audio) // length * length].reshape(-1, length).astype(np.float64)
    return to_decibels(np.sqrt(np.mean(frames**2, axis=1)))


def to_decibels(amplitude: np.ndarray | float) -> np.ndarray:
    return 20 * np.log10(np.maximum(amplitude, 10 ** (SILENT_DBFS / 20)))


def is_empty(audio: np.ndarray) -> bool:
    return bool(to_decibels(np.abs(audio).max(initial=0)) < EMPTY_DBFS)


def is_runaway(audio: np.ndarray, teacher: np.ndarray) -> bool:
    return len(audio) > RUNAWAY_RATIO * len(teacher) + VOICE_SAMPLE_RATE_HERTZ


def is_cut(audio: np.ndarray, teacher: np.ndarray) -> bool:
    """Return whether speech ends much too early, or within a sound; the last 20 ms may be a fade-out."""
    levels = compute_levels(audio)
    return len(audio) < CUT_RATIO * len(teacher) or (len(levels) > 1 and bool(levels[-2] > LOUD_END_DBFS))


class Judge:
    """A small recogniser that was trained on human speech, independent of the pipeline's weights."""

    def __init__(self):
        from moonshine_voice import ModelArch, Transcriber, get_model_path

        self.transcriber = Transcriber(get_model_path("tiny-en"), ModelArch.TINY)

    def transcribe(self, audio: np.ndarray) -> str:
        """Transcribe audio of 22,050 Hz into words of a-z and apostrophes."""
        resampled = soxr.resample(audio.astype(np.float32), VOICE_SAMPLE_RATE_HERTZ, JUDGE_SAMPLE_RATE_HERTZ)
        lines = self.transcriber.transcribe_without_streaming(resampled.tolist(), JUDGE_SAMPLE_RATE_HERTZ).lines
        return spoken_form(" ".join(line.text for line in lines))


def open_voices(args: argparse.Namespace) -> dict[str, Voice]:
    """Return the voices by name, the teacher first."""
    encoder = TextEncoder(**CPU.buckets.parameters_of("text_encoder"))
    if args.dictionary:
        encoder = replace(encoder, pronunciation="arpabet", pronunciations_file=str(args.dictionary))
    teacher = load_teacher(encoder)
    voices = {"teacher": teacher}
    if args.server:
        client = ConvaiClient(args.server)
        voices["server"] = lambda text: np.asarray(client.speak(text).answer_audio)
        voices["server, streamed"] = lambda text: np.concatenate([c.answer_audio for c in client.speak_stream(text)])
    for post_filter in ("off", "mel_consistent") if args.waveglow or args.tacotron2 else ():
        vocoder = Vocoder(args.waveglow, post_filter)
        voices[f"WaveGlow, post-filter {post_filter}"] = make_resynthesis(teacher, vocoder)
        if args.tacotron2:
            voices[f"both networks, post-filter {post_filter}"] = load_tacotron2(args.tacotron2, encoder, vocoder)
    return voices


def load_teacher(encoder: TextEncoder) -> Voice:
    from training.tacotron2.teacher import Teacher

    teacher = Teacher()
    return lambda text: teacher.say(encoder.spell_out(text)).audio


class Vocoder:
    """WaveGlow between the steps that serving puts around it."""

    def __init__(self, weights_file: Path | None, post_filter: str):
        """Without a file, WaveGlow has random weights."""
        network = NETWORKS["waveglow"]
        weights = read_weights(network, weights_file) if weights_file else random_weights(network, "mini", seed=0)
        self.network = build(network, weights, seed=0)
        self.padder = MelPadder(
            n_group=weights.config.n_group,
            receptive_field_frames=weights.config.receptive_field_frames,
            **CPU.buckets.parameters_of("mel_padder"),
        )
        self.trimmer = AudioTrimmer(post_filter=post_filter)

    def speak(self, mel: np.ndarray) -> np.ndarray:
        """Synthesise a mel spectrogram, float32, shape = (80, frames)."""
        length = np.array([mel.shape[1]], np.int32)
        padded = self.padder(decoded_mel=mel, mel_length=length)
        with torch.inference_mode():
            audio = self.network(*(torch.from_numpy(padded[name])[None] for name in ("padded_mel", "z")))[0].numpy()
        return self.trimmer(audio=audio, padded_mel=padded["padded_mel"], mel_length=length)["answer_audio"]


def make_resynthesis(voice: Voice, vocoder: Vocoder) -> Voice:
    """Return a voice that synthesises another voice's mels."""
    return lambda text: vocoder.speak(mel_spectrogram(voice(text)))


def load_tacotron2(weights_file: Path, encoder: TextEncoder, vocoder: Vocoder) -> Voice:
    network: Any = build(NETWORKS["tacotron2"], read_weights(NETWORKS["tacotron2"], weights_file), seed=0)

    def speak(text: str) -> np.ndarray:
        encoded = encoder(text=text)
        symbols, symbols_length = (torch.from_numpy(encoded[name])[None] for name in ("symbol_ids", "symbols_length"))
        with torch.inference_mode():
            mel, length = network(symbols, symbols_length)
        return vocoder.speak(mel[0, :, : max(network.n_frames_per_step, int(length))].numpy())

    return speak


def write_recordings(folder: Path, spoken: Sequence[np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, audio in enumerate(spoken):
        soundfile.write(folder / f"{number:03}.wav", audio, VOICE_SAMPLE_RATE_HERTZ)
