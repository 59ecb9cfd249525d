"""Cuts a stream of audio into questions: each begins with speech and ends with a pause."""

from collections.abc import Iterator

import numpy as np

from convai.arrays import Array
from convai.client.listen_events import NothingAsked, SpeechEnded, SpeechStarted
from convai.client.speech_detector import WINDOW_SAMPLES, WINDOW_SECONDS, SpeechDetector
from convai.description.limits import MAX_QUESTION_SECONDS

# A probability has to reach the first to count as speech, and to fall below the second to count as none.
SPEECH_PROBABILITY, SILENCE_PROBABILITY = 0.5, 0.35
MIN_SPEECH_SECONDS = 0.1  # a click is shorter than a word
LEAD_SECONDS = 0.3  # kept from before the first speech, whose onset the detector misses
TAIL_SECONDS = 0.25  # kept from after the last speech
MAX_WINDOWS = int(MAX_QUESTION_SECONDS / WINDOW_SECONDS)

Turn = SpeechStarted | SpeechEnded | NothingAsked


def windows_in(seconds: float) -> int:
    return round(seconds / WINDOW_SECONDS)


class Turns:
    """Hears audio at 16 kHz and tells when a question begins and when it is complete.

    Parameters
    ----------
    detector : tells how likely a window is speech
    pause_seconds : how long a silence ends a question; None leaves that to `end`
    """

    def __init__(self, detector: SpeechDetector, pause_seconds: float | None):
        self.detector = detector
        self.pause = None if pause_seconds is None else windows_in(pause_seconds)
        self.num_heard = 0  # windows since the stream began
        self.last_speech = 0  # how many windows were heard up to the last speech
        self.windows = []  # of the question, or before it, of the silence that leads to it
        self.is_speaking = False  # a question has begun; short silences belong to it
        self._is_too_long = False
        self._has_spoken = False
        self._run = 0  # windows of speech in a row
        self._rest = np.zeros(0, np.float32)  # less than a window

    def recording(self, start: int = 0, end: int | None = None) -> Array:
        """The question so far, or some of its windows, shape = (samples,)."""
        return np.concatenate([np.zeros(0, np.float32), *self.windows[start:end]])

    @property
    def spoken(self) -> int:
        """Windows of the question up to the last speech."""
        return self.last_speech - (self.num_heard - len(self.windows))

    @property
    def question_end(self) -> int:
        """Windows of the question that would be asked if it were complete now."""
        return min(self.spoken + windows_in(TAIL_SECONDS), len(self.windows), MAX_WINDOWS)

    @property
    def silent_seconds(self) -> float:
        """How long it has been silent."""
        return (self.num_heard - self.last_speech) * WINDOW_SECONDS

    def hear(self, audio: Array) -> Iterator[Turn]:
        """Take the next samples, however many: float32 in [-1, 1], shape = (samples,)."""
        audio = np.concatenate([self._rest, audio])
        whole = len(audio) - len(audio) % WINDOW_SAMPLES
        self._rest = audio[whole:]
        for window in audio[:whole].reshape(-1, WINDOW_SAMPLES):
            yield from self._hear_window(window)

    def end(self) -> Iterator[Turn]:
        """The stream is over, and with it the question."""
        if self.is_speaking:
            yield self._ended()
        elif not self._has_spoken:
            yield NothingAsked("no speech")

    def _hear_window(self, window: Array) -> Iterator[Turn]:
        self.num_heard += 1
        self._note_speech(self.detector(window))
        if self._is_too_long:
            self._is_too_long = not self._pause_is_over()
            return
        self.windows.append(window)
        if not self.is_speaking:
            yield from self._wait_for_speech()
        elif self._pause_is_over():
            yield self._ended()
        elif len(self.windows) > MAX_WINDOWS:
            yield self._too_long()

    def _note_speech(self, probability: float) -> None:
        is_speech = probability >= (SILENCE_PROBABILITY if self._run else SPEECH_PROBABILITY)
        self._run = self._run + 1 if is_speech else 0
        if is_speech:
            self.last_speech = self.num_heard

    def _wait_for_speech(self) -> Iterator[Turn]:
        del self.windows[: -(windows_in(LEAD_SECONDS) + self._run)]
        if self._run >= windows_in(MIN_SPEECH_SECONDS):
            self.is_speaking = self._has_spoken = True
            yield SpeechStarted((self.num_heard - self._run) * WINDOW_SECONDS)

    def _pause_is_over(self) -> bool:
        return self.pause is not None and self.num_heard - self.last_speech >= self.pause

    def _ended(self) -> SpeechEnded:
        start = self.num_heard - len(self.windows)
        end = start + self.question_end
        audio = self.recording(end=self.question_end)
        self._forget()
        return SpeechEnded(audio, start * WINDOW_SECONDS, end * WINDOW_SECONDS)

    def _too_long(self) -> NothingAsked:
        self._forget()
        self._is_too_long = True  # until a pause, or the rest would be taken for a question
        return NothingAsked("too long")

    def _forget(self) -> None:
        self.windows.clear()
        self.is_speaking = False
