"""Decodes recordings of any container, block by block, to one channel at a rate that the server takes.

libsndfile reads WAV, FLAC and other formats that hold samples; ffmpeg (by PyAV) reads everything else.
"""

import io
import logging
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from mmap import mmap
from typing import Any

import av
import numpy as np
import soundfile
from av.error import FFmpegError, InvalidDataError

from convai.arrays import Array
from convai.description.limits import MAX_SAMPLE_RATE_HERTZ, MIN_SAMPLE_RATE_HERTZ
from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument

logger = logging.getLogger(__name__)

RATES_HERTZ = range(4_000, 192_001)  # of a recording; the server takes fewer, the others are resampled here
BLOCK_SECONDS = 0.5
MAX_BLOCK_VALUES = 2**20  # of all channels together: a header may claim a thousand channels
MAX_CLIPPED_PEAK = 4.0  # lossy formats overshoot a little; beyond this, the samples have another scale
SAME_CHANNEL, OPPOSITE_CHANNEL = 0.3, -0.3  # correlations
UNKNOWN_FRAMES = 2**62  # libsndfile's number of frames if the header has none is larger
# python-soundfile seeks after each block, which in these is inexact in libsndfile: Opus comes out garbled.
NOT_SEEKABLE = ("OGG", "MP3", "MPEG")
# The containers that ffmpeg may open. Others, such as playlists, name further files and addresses to read.
DEMUXERS = (
    "aac ac3 aiff amr amrnb amrwb ape asf au avi caf dsf dts eac3 flac flv g722 gsm iff ircam latm loas matroska webm "
    "mlp mov mp4 m4a 3gp 3g2 mj2 mp3 mpc mpc8 mpeg mpegts nistsphere nut ogg oma qcp rm shn tak truehd tta voc w64 wav "
    "wv xa xwma"
)
AV_OPTIONS = {"format_whitelist": ",".join(DEMUXERS.split()), "protocol_whitelist": "none"}

Source = bytes | mmap
Block = tuple[Array, int]  # float32, shape = (channels, samples), and its rate in Hertz


def read_audio(source: Source, max_seconds: float = np.inf) -> tuple[Array, int]:
    """Decode a whole recording, at its own rate if the server takes that, else at 16 kHz.

    Parameters
    ----------
    source : the content of a file
    max_seconds : decoding stops beyond it, because a few megabytes can hold hours

    Returns
    -------
    audio : float32 in [-1, 1], shape = (samples,)
    sample_rate : Hertz

    Raises
    ------
    InvalidArgument : the content is not audio, or longer; the message omits the file's name
    """
    blocks = mix_blocks(decode_blocks(source))
    first, rate = next(blocks)
    takes_rate = MIN_SAMPLE_RATE_HERTZ <= rate <= MAX_SAMPLE_RATE_HERTZ
    target = rate if takes_rate else SAMPLE_RATE_HERTZ
    resampled = resample_blocks(chain([(first, rate)], blocks), target)
    audio = np.concatenate(list(bound_length(resampled, target, max_seconds)))
    return limit(audio, float(np.abs(audio).max(initial=0))), target


def stream_audio(source: Source, max_seconds: float = np.inf) -> Iterator[Array]:
    """Decode a recording to 16 kHz in blocks of about half a second, as `read_audio` does it whole."""
    with suppress(Undecodable), open_samples(source) as file:
        if file.frames > max_seconds * file.samplerate:
            raise too_long(max_seconds)  # before hours of work
    resampled = resample_blocks(mix_blocks(decode_blocks(source)), SAMPLE_RATE_HERTZ)
    loudest = 0.0
    for block in bound_length(resampled, SAMPLE_RATE_HERTZ, max_seconds):
        peak = float(np.abs(block).max(initial=0))
        is_first = loudest <= 1
        loudest = max(loudest, peak)
        yield limit(block, loudest, is_logged=is_first)


def header_seconds(source: Source) -> float | None:
    """Return the length that the recording's header states, if it states one; a guess for what came from a pipe."""
    try:
        with open_samples(source) as file:
            return file.frames / file.samplerate
    except Undecodable:
        pass

    try:
        with open_container(source) as container:
            return None if container.duration is None else container.duration / av.time_base
    except (FFmpegError, ValueError):
        return None


def bound_length(blocks: Iterable[Array], rate: int, max_seconds: float) -> Iterator[Array]:
    samples = 0
    for block in blocks:
        samples += len(block)
        if samples > max_seconds * rate:
            raise too_long(max_seconds)
        yield block


def too_long(max_seconds: float) -> InvalidArgument:
    length = f"{max_seconds:g} s" if max_seconds < 3600 else f"{max_seconds / 3600:g} h"
    return InvalidArgument(f"expected at most {length} of audio, got more")


def limit(audio: Array, peak: float, is_logged: bool = True) -> Array:
    """Bring samples beyond full scale back to it; `peak` is the loudest of the recording so far."""
    if peak <= 1:
        return audio
    if is_logged:
        logger.warning("a recording has samples up to %.4g times full scale; they are limited", peak)
    return np.clip(audio / peak if peak > MAX_CLIPPED_PEAK else audio, -1, 1)


def resample_blocks(blocks: Iterable[Block], target: int) -> Iterator[Array]:
    """Resample blocks of one channel to `target` Hertz; their rate may change midway."""
    import soxr

    resampler, current = None, target
    nothing = np.zeros(0, np.float32)
    for block, rate in blocks:
        if rate != current:
            if resampler is not None:
                yield resampler.resample_chunk(nothing, last=True)
            resampler = None if rate == target else soxr.ResampleStream(rate, target, 1, dtype="float32")
            current = rate
        yield block if resampler is None else resampler.resample_chunk(block)
    if resampler is not None:
        yield resampler.resample_chunk(nothing, last=True)


def mix_blocks(blocks: Iterable[Block]) -> Iterator[Block]:
    """Average the channels, after inverting those of opposite phase, which would cancel the others."""
    signs = np.ones(0, np.float32)
    for block, rate in blocks:
        if not np.isfinite(block).all():
            raise InvalidArgument("expected finite samples, got NaN or infinite ones")
        if len(signs) != len(block):
            signs = np.ones(len(block), np.float32)
        signs = align_signs(block, signs)
        yield signs @ block / len(block), rate


def align_signs(block: Array, signs: Array) -> Array:
    """Return the sign of each channel, float32 of 1 or -1, shape = (channels,); `signs` were those before.

    Channels follow the loudest one. Where the correlation is weak they keep their sign, so it changes rarely.
    """
    if len(block) == 1:
        return signs
    energies = np.einsum("cs,cs->c", block, block)
    loudest = int(energies.argmax())
    correlations = block @ block[loudest] / np.sqrt(energies * energies[loudest] + np.finfo(np.float32).tiny)
    aligned = np.where(correlations > SAME_CHANNEL, signs[loudest], signs)
    return np.where(correlations < OPPOSITE_CHANNEL, -signs[loudest], aligned).astype(np.float32)


def decode_blocks(source: Source) -> Iterator[Block]:
    """Decode with libsndfile, or with ffmpeg what that does not know; what is broken off is decoded up to there."""
    has_audio = False
    for read in (read_by_libsndfile, read_by_ffmpeg):
        try:
            for samples, rate in read(source):
                if rate not in RATES_HERTZ:
                    raise InvalidArgument(f"expected a rate of {RATES_HERTZ[0]} to {RATES_HERTZ[-1]} Hz, got {rate} Hz")
                has_audio = has_audio or samples.size > 0
                yield samples, rate
        except Undecodable as error:
            if has_audio:
                logger.warning("a recording is broken off or damaged (%s); the rest is left out", error)
        if has_audio:
            return
    raise InvalidArgument("expected audio (WAV, FLAC, Ogg, MP3, M4A, WebM and more), got other data")


class Undecodable(Exception):
    """A library cannot decode the content, or not further."""


@contextmanager
def open_samples(source: Source) -> Generator[soundfile.SoundFile]:
    """Open a file that libsndfile reads in blocks without a fault."""
    try:
        content: Any = open_bytes(source)  # soundfile and PyAV take any object that reads and seeks
        with soundfile.SoundFile(content) as file:
            if file.format in NOT_SEEKABLE or file.frames >= UNKNOWN_FRAMES:
                raise Undecodable("better read by ffmpeg")
            yield file
    except soundfile.SoundFileError as error:
        raise Undecodable(str(error)) from error


def read_by_libsndfile(source: Source) -> Iterator[Block]:
    with open_samples(source) as file:
        samples = max(1, min(int(BLOCK_SECONDS * file.samplerate), MAX_BLOCK_VALUES // file.channels))
        while len(block := file.read(samples, dtype="float32", always_2d=True)):
            yield np.ascontiguousarray(block.T), file.samplerate


def open_container(source: Source) -> Any:
    return av.open(open_bytes(source), options=AV_OPTIONS, metadata_errors="ignore")


def read_by_ffmpeg(source: Source) -> Iterator[Block]:
    """Decode the first audio stream. Damaged packets are skipped."""
    try:
        with open_container(source) as container:
            if not container.streams.audio:
                raise Undecodable("no audio stream")
            stream: Any = container.streams.audio[0]
            yield from join_blocks(decode_packets(container, stream))
    except (FFmpegError, ValueError) as error:
        raise Undecodable(str(error)) from error


def decode_packets(container: Any, stream: Any) -> Generator[Block]:
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except InvalidDataError:
            continue
        for frame in frames:
            yield to_float(frame), frame.sample_rate


def join_blocks(blocks: Iterable[Block]) -> Iterator[Block]:
    """Join short blocks of the same kind to blocks of `BLOCK_SECONDS`."""
    waiting: list[Array] = []
    kind: tuple[int, int] = (0, 0)
    for samples, rate in blocks:
        length = sum(block.shape[1] for block in waiting)
        if waiting and (kind != (len(samples), rate) or length >= BLOCK_SECONDS * kind[1]):
            yield np.concatenate(waiting, axis=1), kind[1]
            waiting = []
        kind = (len(samples), rate)
        waiting.append(samples)
    if waiting:
        yield np.concatenate(waiting, axis=1), kind[1]


def to_float(frame: Any) -> Array:
    """Convert a frame of PyAV to float32 of full scale 1, shape = (channels, samples)."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    if samples.dtype == np.uint8:
        return (samples.astype(np.float32) - 128) / 128
    if samples.dtype.kind == "i":
        return samples.astype(np.float32) / np.float32(2 ** (8 * samples.dtype.itemsize - 1))
    return np.ascontiguousarray(samples, np.float32)


def open_bytes(source: Source) -> io.BytesIO | mmap:
    """Return a file-like object at the start of `source`, with the right length in the header of a WAV file."""
    length = wav_length(source)
    if isinstance(source, mmap):
        source.seek(0)
        file: io.BytesIO | mmap = source
    else:
        file = io.BytesIO(source)
    if length is not None:
        offset, size = length
        file.seek(4)
        file.write((offset + size - 8).to_bytes(4, "little"))
        file.seek(offset - 4)
        file.write(size.to_bytes(4, "little"))
        file.seek(0)
    return file


def wav_length(source: Source) -> tuple[int, int] | None:
    """Find where the samples of a WAV file begin and their number of bytes, if its header states another number.

    Programs that write into a pipe, or that were stopped, leave 0 or a guess there.
    """
    if source[:4] != b"RIFF" or source[8:12] != b"WAVE":
        return None
    offset = 12
    while source[offset : offset + 4] != b"data":
        offset += 8 + chunk_size(source, offset)
        if offset + 8 > len(source):
            return None
    size, offset = chunk_size(source, offset), offset + 8
    if size <= len(source) - offset and ends_in_chunks(source, offset + size):
        return None
    return offset, min(len(source) - offset, 2**32 - 1 - offset)


def chunk_size(source: Source, offset: int) -> int:
    """Return the size that a chunk at `offset` states, and its byte of padding."""
    size = int.from_bytes(source[offset + 4 : offset + 8], "little")
    return size + size % 2 if source[offset : offset + 4] != b"data" else size


def ends_in_chunks(source: Source, offset: int) -> bool:
    """Whether only chunks follow at `offset`."""
    offset += offset % 2
    while offset + 8 <= len(source):
        if not re.fullmatch(rb"[A-Za-z0-9_ ]{4}", source[offset : offset + 4]):
            return False
        offset += 8 + chunk_size(source, offset)
    return 0 <= offset - len(source) <= 1  # the byte of padding may be missing
