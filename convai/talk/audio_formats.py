"""Decodes uploaded recordings, and encodes answers in the formats of OpenAI's interface."""

import asyncio
import io
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager
from typing import Any, Literal, NamedTuple, cast

import av
import numpy as np

from convai.arrays import Array
from convai.client.audio_decoding import read_audio
from convai.client.errors import ConvaiError
from convai.description.limits import MAX_QUESTION_SECONDS
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument
from convai.talk.errors import BadRequest

AudioFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]
# What is encoded is passed on at once, and without the encoder's name, so that the header of WAV has its usual length.
AT_ONCE = {"flush_packets": "1", "fflags": "+bitexact"}


class Encoding(NamedTuple):
    media_type: str
    container: str  # this and the next are ffmpeg's names
    codec: str
    sample_rate: int = VOICE_SAMPLE_RATE_HERTZ
    bit_rate: int | None = None
    options: dict[str, str] | None = None  # of the container


ENCODINGS: dict[AudioFormat, Encoding] = {
    # Chromium plays once it has 32 KiB; with 64 kbit/s that takes 5 s of speech instead of 3 s.
    "mp3": Encoding("audio/mpeg", "mp3", "libmp3lame", bit_rate=128_000, options={"id3v2_version": "0"}),
    # Opus has no 22,050 Hz. A page is sent when it is full; its length is in microseconds.
    "opus": Encoding("audio/ogg", "ogg", "libopus", 24_000, 48_000, {"page_duration": "100000"}),
    "aac": Encoding("audio/aac", "adts", "aac", bit_rate=96_000),
    "flac": Encoding("audio/flac", "flac", "flac"),
    "wav": Encoding("audio/wav", "wav", "pcm_s16le"),
    "pcm": Encoding("audio/pcm", "s16le", "pcm_s16le", 24_000),  # the rate at which OpenAI's clients play it
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


class Encoder:
    """Writes the voice's audio, float32 in [-1, 1], shape = (samples,), 22,050 Hz, to `file` piece by piece.

    If nothing can be sought in the file, its header gives no length.
    """

    def __init__(self, audio_format: AudioFormat, file: Any):
        encoding = ENCODINGS[audio_format]
        self.num_samples = 0
        self.container = av.open(
            file, "w", format=encoding.container, container_options=AT_ONCE | (encoding.options or {})
        )
        stream = self.container.add_stream(encoding.codec, rate=encoding.sample_rate, layout="mono")
        self.stream = cast(av.AudioStream, stream)
        if encoding.bit_rate is not None:
            self.stream.bit_rate = encoding.bit_rate

    def write(self, audio: Array) -> None:
        frame = av.AudioFrame.from_ndarray(audio[np.newaxis], format="flt", layout="mono")
        frame.sample_rate = VOICE_SAMPLE_RATE_HERTZ
        self.container.mux(self.stream.encode(frame))
        self.num_samples += len(audio)

    def close(self) -> None:
        self.container.mux(self.stream.encode(None))
        self.container.close()


def encode_audio(audio: Array, audio_format: AudioFormat) -> bytes:
    """Encode the whole of the voice's audio as a file."""
    file = io.BytesIO()
    encoder = Encoder(audio_format, file)
    encoder.write(audio)
    encoder.close()
    return file.getvalue()


class StreamEncoder(Encoder):
    """An encoder whose output is taken while it works."""

    def __init__(self, audio_format: AudioFormat):
        self.pipe = Pipe()
        super().__init__(audio_format, self.pipe)

    async def encode(self, pieces: AsyncGenerator[Array]) -> AsyncGenerator[bytes]:
        """Yield the encoded audio of each piece when it arrives. Closing the generator closes `pieces`."""
        async with aclosing(pieces):
            async for piece in pieces:
                await asyncio.to_thread(self.write, piece)
                if self.pipe.data:
                    yield self.pipe.take()
        await asyncio.to_thread(self.close)
        if self.pipe.data:
            yield self.pipe.take()


class Pipe:
    """A file that can only be written; `take` empties it."""

    def __init__(self):
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def take(self) -> bytes:
        taken, self.data = bytes(self.data), bytearray()
        return taken


def to_pcm(audio: Array) -> bytes:
    """Convert `audio`, float32 in [-1, 1], to 16-bit little-endian samples."""
    return (np.clip(audio, -1, 1) * 32767).round().astype("<i2").tobytes()
