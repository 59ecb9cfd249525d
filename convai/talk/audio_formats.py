"""Decodes uploaded recordings, and encodes answers in the formats of OpenAI's interface."""

import io
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
import soundfile
import soxr

from convai.arrays import Array
from convai.client.audio_decoding import read_audio
from convai.client.errors import ConvaiError
from convai.description.limits import MAX_QUESTION_SECONDS
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument
from convai.talk.errors import BadRequest

PCM_RATE = 24_000  # of OpenAI's raw PCM; its clients play it at this rate
AudioFormat = Literal["wav", "pcm", "flac", "opus", "mp3"]


class Encoding(NamedTuple):
    media_type: str
    options: dict[str, Any]  # of libsndfile
    sample_rate: int = VOICE_SAMPLE_RATE_HERTZ


ENCODINGS: dict[AudioFormat, Encoding] = {
    "wav": Encoding("audio/wav", {"format": "WAV", "subtype": "PCM_16"}),
    "flac": Encoding("audio/flac", {"format": "FLAC", "subtype": "PCM_16"}),
    "mp3": Encoding("audio/mpeg", {"format": "MP3"}),
    "opus": Encoding("audio/ogg", {"format": "OGG", "subtype": "OPUS"}, 24_000),  # Opus has no 22,050 Hz
    "pcm": Encoding("audio/pcm", {"format": "RAW", "subtype": "PCM_16", "endian": "LITTLE"}, PCM_RATE),
}


def decode_audio(data: bytes, param: str) -> tuple[Array, int]:
    """Decode a spoken question in any container, up to its longest length.

    Parameters
    ----------
    data : the file's bytes
    param : the field's name, for errors

    Returns
    -------
    The samples, float32 in [-1, 1], shape = (samples,), and their rate in Hertz.

    Raises
    ------
    BadRequest : the bytes are not audio, or longer than a question may be
    """
    with naming(param):
        return read_audio(data, MAX_QUESTION_SECONDS)


@contextmanager
def naming(param: str) -> Generator[None]:
    """Turn an error about a recording into `BadRequest` that names its field."""
    try:
        yield
    except ConvaiError:  # of the server
        raise
    except InvalidArgument as error:
        raise BadRequest(f"{param}: {error}", param) from error


def encode_audio(audio: Array, audio_format: AudioFormat) -> bytes:
    """Encode the voice's `audio`, float32 in [-1, 1], shape = (samples,), 22,050 Hz, as a file."""
    _, options, sample_rate = ENCODINGS[audio_format]
    if sample_rate != VOICE_SAMPLE_RATE_HERTZ:
        audio = soxr.resample(audio, VOICE_SAMPLE_RATE_HERTZ, sample_rate)
    file = io.BytesIO()
    soundfile.write(file, np.clip(audio, -1, 1), sample_rate, **options)
    return file.getvalue()


async def encode_pcm_stream(pieces: AsyncIterator[Array]) -> AsyncIterator[bytes]:
    """Encode pieces of the voice's audio, as `encode_audio` takes it whole, as `pcm`, each when it arrives."""
    resampler = soxr.ResampleStream(VOICE_SAMPLE_RATE_HERTZ, PCM_RATE, 1, dtype="float32")
    async for piece in pieces:
        yield to_pcm(resampler.resample_chunk(piece))
    yield to_pcm(resampler.resample_chunk(np.zeros(0, np.float32), last=True))


def to_pcm(audio: Array) -> bytes:
    """Convert `audio`, float32 in [-1, 1], to 16-bit little-endian samples."""
    return (np.clip(audio, -1, 1) * 32767).round().astype("<i2").tobytes()
