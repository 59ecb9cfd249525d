"""Cuts a recording of any length at its pauses into segments that one request can carry."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from convai.arrays import Array
from convai.client.turns import (
    MIN_SPEECH_SECONDS,
    SILENCE_PROBABILITY,
    SPEECH_PROBABILITY,
    WINDOW_SAMPLES,
    WINDOW_SECONDS,
    windows_in,
)
from convai.description.limits import MAX_QUESTION_SECONDS, MIN_QUESTION_SECONDS
from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument

MAX_SEGMENT_SECONDS = 25.0
PAUSE_SECONDS = 0.8  # ends a segment
MARGIN_SECONDS = 0.4  # kept on both sides of the speech, because the detector misses soft beginnings and ends
SEARCH_SECONDS = 12.5  # without such a pause, the place with the least speech in these last seconds
SILENT_PEAK = 1e-3  # -60 dBFS; audio below it has no speech for the recognisers either
SMOOTHED_WINDOWS = 9  # speech is averaged over 0.3 s there, so a longer pause is preferred


@dataclass(frozen=True, eq=False)
class AudioSegment:
    """Speech between two pauses.

    Attributes
    ----------
    audio : float32 in [-1, 1], 16 kHz, shape = (samples,)
    audio_start_seconds : where `audio` begins in the recording
    start_seconds, end_seconds : where speech begins and ends in the recording
    speech_probability : the detector's, averaged from start to end
    has_speech : False if the detector found none and `audio` is the whole recording
    """

    audio: Array
    audio_start_seconds: float
    start_seconds: float
    end_seconds: float
    speech_probability: float
    has_speech: bool = True


def cut_recording(blocks: Iterable[Array], detector: Callable[[Array], float]) -> Iterator[list[AudioSegment]]:
    """Cut a recording of any length into segments; yield after each block those that it completes, often none.

    If the detector finds no speech in a recording that one request can carry, the whole of it is the segment:
    the recogniser may know better.

    Parameters
    ----------
    blocks : float32 in [-1, 1], 16 kHz, shape = (samples,)
    detector : returns the probability of speech in a window of 512 samples

    Raises
    ------
    InvalidArgument : the recording is shorter than a question may be
    """
    segmenter = Segmenter(detector)
    beginning: list[Array] = []
    has_speech = False
    for block in blocks:
        segments = segmenter.take(block)
        has_speech = has_speech or bool(segments)
        if not has_speech and segmenter.seconds <= MAX_QUESTION_SECONDS:
            beginning.append(block)
        yield segments
    seconds = segmenter.seconds
    if seconds < MIN_QUESTION_SECONDS:
        raise InvalidArgument(f"expected at least {MIN_QUESTION_SECONDS:g} s of audio, got {seconds:.3f} s")
    segments = segmenter.end()
    if not (has_speech or segments) and seconds <= MAX_QUESTION_SECONDS:
        segments = [AudioSegment(np.concatenate(beginning), 0.0, 0.0, seconds, 0.0, has_speech=False)]
    yield segments


class Segmenter:
    """Cuts audio at 16 kHz that comes block by block; memory does not grow with its length.

    Windows are counted from the start of the recording.
    """

    def __init__(self, detector: Callable[[Array], float]):
        self.detector = detector
        self.num_samples = 0
        self._windows: list[Array] = []  # that may belong to the next segment
        self._probabilities: list[float] = []  # of these
        self._first = 0  # number of the first of these
        self._speech_start: int | None = None  # of the segment
        self._speech_end = 0  # after the last window with speech
        self._run = 0  # consecutive windows of speech
        self._silent_run = 0  # consecutive silent windows
        self._rest = np.zeros(0, np.float32)  # less than a window

    @property
    def seconds(self) -> float:
        """Length of the audio so far."""
        return self.num_samples / SAMPLE_RATE_HERTZ

    def take(self, block: Array) -> list[AudioSegment]:
        """Take the next samples, float32 in [-1, 1], shape = (samples,); return the segments that they complete."""
        self.num_samples += len(block)
        audio = np.concatenate([self._rest, block])
        whole = len(audio) - len(audio) % WINDOW_SAMPLES
        self._rest = audio[whole:]
        return [
            segment
            for window in audio[:whole].reshape(-1, WINDOW_SAMPLES)
            if (segment := self._take_window(window)) is not None
        ]

    def end(self) -> list[AudioSegment]:
        """End the recording; return its last segments."""
        padding = np.zeros(-len(self._rest) % WINDOW_SAMPLES, np.float32)
        num_samples = self.num_samples
        segments = self.take(padding)
        self.num_samples = num_samples
        return segments if self._speech_start is None else [*segments, self._end_segment()]

    @property
    def _end(self) -> int:
        return self._first + len(self._windows)

    def _take_window(self, window: Array) -> AudioSegment | None:
        probability = self._detect(window)
        self._windows.append(window)
        self._probabilities.append(probability)
        is_speech = probability >= (SILENCE_PROBABILITY if self._run else SPEECH_PROBABILITY)
        self._run = self._run + 1 if is_speech else 0
        if is_speech:
            self._speech_end = self._end
        if self._speech_start is None:
            self._wait_for_speech()
        elif self._end - self._speech_end >= windows_in(PAUSE_SECONDS):
            return self._end_segment()
        elif len(self._windows) >= int(MAX_SEGMENT_SECONDS / WINDOW_SECONDS):
            return self._cut_speech()
        return None

    def _detect(self, window: Array) -> float:
        """Return the probability of speech; hours of silence need not be looked at."""
        is_silent = np.abs(window).max() < SILENT_PEAK
        self._silent_run = self._silent_run + 1 if is_silent else 0
        return 0.0 if self._silent_run > windows_in(PAUSE_SECONDS) else self.detector(window)

    def _wait_for_speech(self) -> None:
        if self._run >= windows_in(MIN_SPEECH_SECONDS):
            self._speech_start = self._end - self._run
        self._drop(self._end - self._run - windows_in(MARGIN_SECONDS))

    def _end_segment(self) -> AudioSegment:
        end = min(self._speech_end + windows_in(MARGIN_SECONDS), self._end)
        segment = self._make_segment(end)
        self._speech_start = None
        return segment

    def _cut_speech(self) -> AudioSegment:
        search = self._probabilities[-windows_in(SEARCH_SECONDS) :]
        smoothed = np.convolve(search, np.ones(SMOOTHED_WINDOWS), mode="valid")
        cut = self._end - len(search) + int(smoothed.argmin()) + SMOOTHED_WINDOWS // 2
        segment = self._make_segment(cut)
        speech = (cut + i for i, p in enumerate(self._probabilities) if p >= SILENCE_PROBABILITY)
        self._speech_start = next(speech) if self._speech_end > cut else None
        return segment

    def _make_segment(self, end: int) -> AudioSegment:
        """Make a segment of the windows before `end`, and drop them."""
        assert self._speech_start is not None  # only speech makes a segment
        start, speech_end, first = self._speech_start, min(self._speech_end, end), self._first
        probabilities = self._probabilities[start - first : speech_end - first]
        segment = AudioSegment(
            audio=np.concatenate(self._windows[: end - first]),
            audio_start_seconds=first * WINDOW_SECONDS,
            start_seconds=start * WINDOW_SECONDS,
            end_seconds=min(speech_end * WINDOW_SECONDS, self.seconds),
            speech_probability=float(np.mean(probabilities)),
        )
        self._drop(end)
        return segment

    def _drop(self, end: int) -> None:
        """Forget the windows before `end`."""
        count = max(0, end - self._first)
        del self._windows[:count], self._probabilities[:count]
        self._first += count
