"""The transcript so far of a question that is still being spoken: the growing recording is transcribed repeatedly.

A transcription runs all steps of the recogniser. Two rules limit its cost:
* One speaker has at most one in flight, and after each the recogniser idles for as long as it took, so captions take at
  most half of one recogniser's time.
* In a long question, the words up to a short silence are settled and not transcribed again, so one transcription covers
  at most 4 to 8 s.
Words may change until the question ends and is transcribed whole, because a transcription may stop within a word. A
transcription after the last word covers exactly the audio of the question.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from convai.arrays import Array
from convai.client.errors import ConvaiError
from convai.client.listen_events import Caption
from convai.client.turns import TAIL_SECONDS, WINDOW_SECONDS, Turns

# Words are settled at the first silence of 0.2 s after 4 s of unsettled speech, or at 8 s in any case.
SETTLE_SECONDS = 4.0
SETTLE_SILENCE_SECONDS = TAIL_SECONDS
MAX_UNSETTLED_SECONDS = 8.0


class Captions:
    """Captions of one speaker.

    Parameters
    ----------
    transcribe : transcribes a recording at 16 kHz, shape = (samples,)
    put : takes a caption
    every_seconds : minimum time from the start of one transcription to the next; 0 turns captions off
    """

    def __init__(
        self,
        transcribe: Callable[[Array], Awaitable[str]],
        put: Callable[[Caption], Awaitable[None]],
        every_seconds: float,
    ):
        self.transcribe = transcribe
        self.put = put
        self.every_seconds = every_seconds
        self.task: asyncio.Task[None] | None = None
        self._next_at = 0.0  # on the monotonic clock
        self._reset()

    def _reset(self) -> None:
        self._text = self._settled_text = ""
        self._transcribed = self._settled = 0  # windows of the question

    def update(self, turns: Turns) -> None:
        """Start a transcription if it is time and the question has grown since the last one."""
        is_busy = self.task is not None and not self.task.done()
        if not (self.every_seconds and turns.is_speaking) or is_busy or time.monotonic() < self._next_at:
            return
        settled = len(turns.windows) if self._can_settle(turns) else None
        if turns.question_end > self._transcribed and turns.speech_end > self._settled:
            self._transcribed = turns.question_end
            recording = turns.recording(self._settled, self._transcribed)
            until_seconds = turns.num_windows * WINDOW_SECONDS
            self.task = asyncio.create_task(self._caption(recording, until_seconds, settled))
        else:
            self._settle(settled)

    def stop(self) -> None:
        """Cancel the transcription: the question is complete, and it would only delay the answer."""
        if self.task is not None:
            self.task.cancel()
        self._reset()

    def _can_settle(self, turns: Turns) -> bool:
        unsettled_seconds = (len(turns.windows) - self._settled) * WINDOW_SECONDS
        is_between_words = turns.silent_seconds >= SETTLE_SILENCE_SECONDS
        return unsettled_seconds >= (SETTLE_SECONDS if is_between_words else MAX_UNSETTLED_SECONDS)

    async def _caption(self, recording: Array, until_seconds: float, settled: int | None) -> None:
        """Put the settled words and the transcript of `recording`; then settle `settled` windows of the question."""
        start = time.monotonic()
        try:
            transcript = await self.transcribe(recording)
        except ConvaiError:
            return  # a caption may be missing; the question itself reports the error
        finally:
            end = time.monotonic()
            self._next_at = max(start + self.every_seconds, end + (end - start))
        self._text = f"{self._settled_text} {transcript}".strip()
        self._settle(settled)
        await self.put(Caption(self._text, until_seconds))

    def _settle(self, settled: int | None) -> None:
        if settled is not None:
            self._settled_text, self._settled = self._text, settled
