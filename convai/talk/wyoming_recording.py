"""A question over Wyoming: PCM of any usual format, mixed to mono and resampled as it arrives."""

import time
from typing import NamedTuple

import numpy as np
import soxr
from wyoming.event import Event

from convai.arrays import Array
from convai.client import InvalidInput
from convai.description.limits import MAX_QUESTION_SECONDS
from convai.description.pipeline import SAMPLE_RATE_HERTZ

MAX_SAMPLES = round(MAX_QUESTION_SECONDS * SAMPLE_RATE_HERTZ)
LONGEST_WAIT_SECONDS = 2 * MAX_QUESTION_SECONDS  # for the end of a recording, which takes one of the slots
# Of each field of a chunk. The rate may be higher than the server takes, because it is resampled here.
BOUNDS = {"rate": range(8_000, 192_001), "width": range(1, 5), "channels": range(1, 9)}


class PcmFormat(NamedTuple):
    rate: int  # Hertz
    width: int  # bytes of a sample
    channels: int

    @property
    def frame_bytes(self) -> int:
        return self.width * self.channels


def read_format(event: Event) -> PcmFormat:
    for name, bounds in BOUNDS.items():
        value = event.data.get(name)
        if type(value) is not int or value not in bounds:
            raise InvalidInput(f"{event.type}: {name}: expected {bounds[0]} to {bounds[-1]}, got {value!r:.50}")
    return PcmFormat(*(event.data[name] for name in BOUNDS))


class Recording:
    """The chunks so far, all of one format. The longest question takes 2 MB, at any rate."""

    def __init__(self):
        self.seconds = 0.0
        self._deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        self._format: PcmFormat | None = None
        self._resampler: soxr.ResampleStream | None = None
        self._pieces: list[Array] = []
        self._rest = b""  # a part of a frame

    def add(self, event: Event) -> None:
        """Take the samples of an `audio-chunk`."""
        pcm = read_format(event)
        if self._resampler is None:
            self._format = pcm
            self._resampler = soxr.ResampleStream(pcm.rate, SAMPLE_RATE_HERTZ, 1, dtype="float32")
        if pcm != self._format:
            raise InvalidInput(f"audio-chunk: expected the format of the chunk before, {self._format}, got {pcm}")
        data = self._rest + (event.payload or b"")
        whole = len(data) // pcm.frame_bytes * pcm.frame_bytes
        self.seconds += whole / pcm.frame_bytes / pcm.rate
        if self.seconds > MAX_QUESTION_SECONDS:
            raise InvalidInput(f"recording: expected at most {MAX_QUESTION_SECONDS:g} s, got more")
        self._pieces.append(self._resampler.resample_chunk(decode_pcm(data[:whole], pcm)))
        self._rest = data[whole:]

    def read(self) -> Array:
        """Return the whole, float32 in [-1, 1], shape = (samples,), 16 kHz."""
        if self._resampler is None or not self.seconds:
            raise InvalidInput("recording: expected audio before audio-stop, got none")
        end = self._resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        return np.concatenate([*self._pieces, end])[:MAX_SAMPLES]

    def check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise InvalidInput(f"recording: expected its end within {LONGEST_WAIT_SECONDS:g} s, got more")


def decode_pcm(data: bytes, pcm_format: PcmFormat) -> Array:
    """Decode little-endian samples, signed unless they have 8 bits.

    Returns
    -------
    The channels' mean, float32 in [-1, 1], shape = (frames,)
    """
    samples = np.frombuffer(data, np.uint8).reshape(-1, pcm_format.width)
    padded = np.zeros((len(samples), 4), np.uint8)  # a sample of fewer bytes is the upper ones of 32 bits
    padded[:, -pcm_format.width :] = samples ^ 0x80 if pcm_format.width == 1 else samples
    frames = padded.view("<i4").reshape(-1, pcm_format.channels)
    return frames.mean(axis=1, dtype=np.float32) / np.float32(2**31)
