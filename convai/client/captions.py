"""The words heard so far in a question that is still being spoken, by hearing the growing recording again and again.

A hearing is a whole pass of the steps that hear. What bounds its cost: one speaker has at most one in flight, and after
each the recogniser rests for as long as it took, so that captions take at most half of one recogniser's time. In a long
question the words up to a short silence are settled and not heard again, so that a hearing covers 4 to 8 s at most;
the question itself is heard whole when it ends. The words may change until then: a hearing may end within a word. One
after the last word hears just what the question will be.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from convai.arrays import Array
from convai.client.errors import ConvaiError
from convai.client.listen_events import Caption
from convai.client.speech_detector import WINDOW_SECONDS
from convai.client.turns import TAIL_SECONDS, Turns

SETTLE_SECONDS = 4.0  # words are settled at the first silence after so much of unsettled speech,
SETTLE_SILENCE_SECONDS = TAIL_SECONDS  # which is heard to its end,
MAX_UNSETTLED_SECONDS = 8.0  # or wherever this much is reached


class Captions:
    """Captions of one speaker.

    Parameters
    ----------
    transcribe : hears a recording at 16 kHz, shape = (samples,)
    tell : takes a caption
    every_seconds : from the beginning of one hearing to that of the next, at least; 0 turns captions off
    """

    def __init__(
        self,
        transcribe: Callable[[Array], Awaitable[str]],
        tell: Callable[[Caption], Awaitable[None]],
        every_seconds: float,
    ):
        self.transcribe = transcribe
        self.tell = tell
        self.every_seconds = every_seconds
        self.hearing: asyncio.Task[None] | None = None
        self._next_at = 0.0  # of the monotonic clock
        self._forget()

    def _forget(self) -> None:
        self._text = self._settled_text = ""
        self._heard = self._settled = 0  # windows of the question

    def update(self, turns: Turns) -> None:
        """Begin a hearing if it is time, and if the question has become longer since the last."""
        is_busy = self.hearing is not None and not self.hearing.done()
        if not (self.every_seconds and turns.is_speaking) or is_busy or time.monotonic() < self._next_at:
            return
        settled = len(turns.windows) if self._can_settle(turns) else None
        if turns.question_end > self._heard and turns.spoken > self._settled:
            self._heard = turns.question_end
            recording = turns.recording(self._settled, self._heard)
            self.hearing = asyncio.create_task(self._hear(recording, turns.num_heard * WINDOW_SECONDS, settled))
        else:
            self._settle(settled)

    def stop(self) -> None:
        """The question is complete; a hearing under way would only be in its way."""
        if self.hearing is not None:
            self.hearing.cancel()
        self._forget()

    def _can_settle(self, turns: Turns) -> bool:
        unsettled_seconds = (len(turns.windows) - self._settled) * WINDOW_SECONDS
        is_between_words = turns.silent_seconds >= SETTLE_SILENCE_SECONDS
        return unsettled_seconds >= (SETTLE_SECONDS if is_between_words else MAX_UNSETTLED_SECONDS)

    async def _hear(self, recording: Array, until_seconds: float, settled: int | None) -> None:
        """Tell what is settled and what was heard after it; `settled` windows of the question are so from now on."""
        start = time.monotonic()
        try:
            heard = await self.transcribe(recording)
        except ConvaiError:
            return  # a caption can be missed; what is wrong is told with the question
        finally:
            end = time.monotonic()
            self._next_at = max(start + self.every_seconds, end + (end - start))
        self._text = f"{self._settled_text} {heard}".strip()
        self._settle(settled)
        await self.tell(Caption(self._text, until_seconds))

    def _settle(self, settled: int | None) -> None:
        if settled is not None:
            self._settled_text, self._settled = self._text, settled
