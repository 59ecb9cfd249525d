"""Uploaded recordings to samples, and answers to the formats that callers ask for."""

import io
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import soundfile
import soxr

from convai.arrays import Array
from convai.client.listen import SAMPLE_RATES
from convai.description.limits import MAX_QUESTION_SECONDS
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.talk.errors import BadRequest

MAX_CHANNELS = 8
PCM_RATE = 24_000
# What libsndfile writes, by OpenAI's names, the rate it is written at, and its media type. OpenAI's raw PCM is at
# 24 kHz, and so its clients play it; Opus knows but a few rates. 0 keeps the voice's own rate.
FORMATS: dict[str, tuple[dict[str, Any], int | None, str]] = {
    "wav": ({"format": "WAV", "subtype": "PCM_16"}, 0, "audio/wav"),
    "flac": ({"format": "FLAC", "subtype": "PCM_16"}, 0, "audio/flac"),
    "mp3": ({"format": "MP3"}, 0, "audio/mpeg"),
    "opus": ({"format": "OGG", "subtype": "OPUS"}, 24_000, "audio/ogg"),
    "pcm": ({"format": "RAW", "subtype": "PCM_16", "endian": "LITTLE"}, PCM_RATE, "audio/pcm"),
}


def decoded(data: bytes, param: str) -> tuple[Array, int]:
    """A recording's channels averaged: float32, shape = (samples,), and its rate in Hertz.

    Compressed audio may hold hours in a few megabytes, so no more is decoded than a question may last.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            check_format(file.samplerate, file.channels, param)
            most = int(MAX_QUESTION_SECONDS * file.samplerate)
            audio = file.read(most + 1, dtype="float32", always_2d=True)
            sample_rate = file.samplerate
    except soundfile.SoundFileError as error:
        raise BadRequest(f"{param} is not audio that is known here: WAV, FLAC, Ogg, MP3 and more", param) from error
    if len(audio) > most:
        raise BadRequest(f"{param} is longer than {MAX_QUESTION_SECONDS:g} s, which is what a question may last", param)
    return audio.mean(axis=1), sample_rate


def check_format(sample_rate: int, channels: int, param: str) -> None:
    """Both together bound what 30 s may take in memory."""
    if sample_rate not in SAMPLE_RATES or channels not in range(1, MAX_CHANNELS + 1):
        raise BadRequest(
            f"{param} has {channels} channels at {sample_rate} Hz; allowed are 1 to {MAX_CHANNELS} channels "
            f"at {SAMPLE_RATES.start} to {SAMPLE_RATES.stop - 1} Hz",
            param,
        )


def encoded(audio: Array, sample_rate: int, audio_format: str) -> bytes:
    """`audio`, float32 in [-1, 1], shape = (samples,), as a file of one of `FORMATS`."""
    options, rate, _ = FORMATS[audio_format]
    if rate:
        audio, sample_rate = soxr.resample(audio, sample_rate, rate), rate
    file = io.BytesIO()
    soundfile.write(file, np.clip(audio, -1, 1), sample_rate, **options)
    return file.getvalue()


async def pcm_pieces(pieces: AsyncIterator[Array]) -> AsyncIterator[bytes]:
    """The voice's speech, in pieces as `encoded` takes it whole, as `pcm` while it comes."""
    resampler = soxr.ResampleStream(VOICE_SAMPLE_RATE_HERTZ, PCM_RATE, 1, dtype="float32")
    async for piece in pieces:
        yield samples_of(resampler.resample_chunk(piece))
    yield samples_of(resampler.resample_chunk(np.zeros(0, np.float32), last=True))


def samples_of(audio: Array) -> bytes:
    """`audio`, float32 in [-1, 1], as 16-bit little-endian samples."""
    return (np.clip(audio, -1, 1) * 32767).round().astype("<i2").tobytes()


def media_type(audio_format: str) -> str:
    return FORMATS[audio_format][2]
