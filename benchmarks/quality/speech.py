"""Have texts spoken and judge the speech: what `convai evaluate voice` does. Packages: hibari-tts, moonshine-voice."""

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import soundfile
from tqdm import tqdm

from benchmarks.quality.listener import Listener
from benchmarks.quality.prosody import Likeness, Speech, likeness
from benchmarks.quality.voices import (
    Spoken,
    Vocoder,
    Voice,
    resynthesis,
    served_voice,
    tacotron2_voice,
    teacher_voice,
)
from benchmarks.tables import Measurement, as_json, measurements_table
from convai.backends.steps.text_encoder import TextEncoder
from convai.backends.steps.transcripts import spoken_form
from convai.client.client import ConvaiClient
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.generator.targets import CPU
from training.common.texts import draw_texts

LEVEL_SECONDS = 0.02  # over which loudness is measured
PAUSE_PERCENTILE = 5  # of these stretches, the quietest are pauses
EMPTY_DBFS = -50.0
RUNAWAY_RATIO, CUT_RATIO = 2.0, 0.6  # of the teacher's length
LOUD_END_DBFS = -30.0  # speech that stops at such a level is cut
SILENT_DBFS = -120.0


def levels(audio: np.ndarray) -> np.ndarray:
    """Loudness of each stretch of 20 ms: float, dB of full scale."""
    length = round(LEVEL_SECONDS * VOICE_SAMPLE_RATE_HERTZ)
    whole = audio[: len(audio) // length * length].reshape(-1, length)
    return decibels(np.sqrt(np.mean(whole.astype(np.float64) ** 2, axis=1)))


def decibels(amplitude: np.ndarray | float) -> np.ndarray:
    return 20 * np.log10(np.maximum(amplitude, 10 ** (SILENT_DBFS / 20)))


def peak_dbfs(spoken: Spoken) -> float:
    return float(decibels(np.abs(spoken.audio).max(initial=0)))


def is_empty(spoken: Spoken) -> bool:
    return peak_dbfs(spoken) < EMPTY_DBFS


def is_runaway(spoken: Spoken, teacher: Spoken) -> bool:
    return spoken.seconds > RUNAWAY_RATIO * teacher.seconds + 1


def is_cut(spoken: Spoken, teacher: Spoken) -> bool:
    """Whether speech ends much too soon, or in the middle of a sound; the last 20 ms may be a fade-out."""
    loudness = levels(spoken.audio)
    return spoken.seconds < CUT_RATIO * teacher.seconds or (len(loudness) > 1 and loudness[-2] > LOUD_END_DBFS)


def measure_voice(
    name: str,
    texts: Sequence[str],
    spoken: list[Spoken],
    teacher: list[Spoken],
    likenesses: list[Likeness],
    heard: list[str],
) -> Measurement:
    """Everything in percent, but the distance from the teacher's mels in dB, the correlations with its pitch and
    energy from -1 to 1, and the levels in dB of full scale.
    """
    said = [spoken_form(text) for text in texts]
    peaks = [peak_dbfs(one) for one in spoken]
    pairs = list(zip(spoken, teacher, strict=True))
    return Measurement(
        name,
        len(texts),
        {
            "WER": 100 * jiwer.wer(said, heard),
            "runaways": percent([is_runaway(*pair) for pair in pairs]),
            "cut": percent([is_cut(*pair) for pair in pairs]),
            "empty": percent([is_empty(one) for one in spoken]),
            "mel distance": float(np.mean([one.mel_distance for one in likenesses])),
            "pitch": float(np.nanmean([one.pitch_correlation for one in likenesses])),
            "energy": float(np.nanmean([one.energy_correlation for one in likenesses])),
            "lowest peak": min(peaks),
            "highest peak": max(peaks),
            "pauses": float(np.median([np.percentile(levels(one.audio), PAUSE_PERCENTILE) for one in spoken])),
        },
    )


def percent(flags: list[bool]) -> float:
    return 100 * sum(flags) / len(flags)


def voices_of(args: argparse.Namespace) -> dict[str, Voice]:
    encoder = encoder_of(args.dictionary)
    voices = {"teacher": teacher_voice(encoder)}
    if args.server:
        voices["server"] = served_voice(ConvaiClient(args.server))
    for post_filter in ("off", "mel_consistent") if args.waveglow or args.tacotron2 else ():
        vocoder = Vocoder(args.waveglow, post_filter)
        voices[f"WaveGlow, post-filter {post_filter}"] = resynthesis(voices["teacher"], vocoder)
        if args.tacotron2:
            voices[f"both networks, post-filter {post_filter}"] = tacotron2_voice(args.tacotron2, encoder, vocoder)
    return voices


def encoder_of(dictionary: Path | None) -> TextEncoder:
    spelled = TextEncoder(**CPU.buckets.parameters_of("text_encoder"))
    return replace(spelled, pronunciation="arpabet", pronunciations_file=str(dictionary)) if dictionary else spelled


def speak_all(voices: dict[str, Voice], texts: Sequence[str], out: Path | None) -> dict[str, list[Spoken]]:
    spoken = {}
    for name, voice in voices.items():
        spoken[name] = [voice(text) for text in tqdm(texts, desc=name, mininterval=5)]
        if out:
            (out / name).mkdir(parents=True, exist_ok=True)
            for number, one in enumerate(spoken[name]):
                soundfile.write(out / name / f"{number:03}.wav", one.audio, VOICE_SAMPLE_RATE_HERTZ)
    return spoken


def run(args: argparse.Namespace) -> int:
    texts = draw_texts(args.texts, args.count, args.max_words, random.Random(args.seed))
    spoken = speak_all(voices_of(args), texts, args.out)
    listener = Listener()
    teacher = [Speech(one.audio) for one in spoken["teacher"]]
    measurements = []
    for name, ones in spoken.items():
        heard = [listener(one.audio, VOICE_SAMPLE_RATE_HERTZ) for one in tqdm(ones, desc=f"{name}, heard")]
        pairs = zip([Speech(one.audio) for one in ones], teacher, strict=True)
        likenesses = [likeness(*pair) for pair in tqdm(pairs, desc=f"{name}, compared", total=len(ones))]
        measurements.append(measure_voice(name, texts, ones, spoken["teacher"], likenesses, heard))
    print(measurements_table(measurements))
    if args.out:
        from benchmarks.quality.speech_pictures import draw

        draw(args.out, texts, spoken)
    if args.json:
        args.json.write_text(as_json(measurements) + "\n", encoding="utf-8")
    return 0
