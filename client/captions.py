"""The words heard so far in a question that is still being spoken, by hearing the growing recording again and again.

A hearing is a whole pass of `speech_to_text`. One speaker has at most one in flight, and after each the recogniser
rests for as long as it took, so that captions take at most half of one recogniser's time.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import numpy as np

from convai.client.errors import ConvaiError
from convai.client.listen_events import Caption
from convai.client.speech_detector import WINDOW_SECONDS
from convai.client.turns import Turns


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
        transcribe: Callable[[np.ndarray], Awaitable[str]],
        tell: Callable[[Caption], Awaitable[None]],
        every_seconds: float,
    ):
        self.transcribe = transcribe
        self.tell = tell
        self.every_seconds = every_seconds
        self.hearing: asyncio.Task | None = None
        self._next_at = 0.0  # of the monotonic clock
        self._covered = 0  # windows

    def update(self, turns: Turns) -> None:
        """Begin a hearing if it is time, and if something was said since the last."""
        is_busy = self.hearing is not None and not self.hearing.done()
        is_news = turns.is_speaking and turns.last_speech > self._covered
        if self.every_seconds and is_news and not is_busy and time.monotonic() >= self._next_at:
            self._covered = turns.num_heard
            self.hearing = asyncio.create_task(self._hear(turns.recording(), turns.num_heard * WINDOW_SECONDS))

    def stop(self) -> None:
        """The question is complete; a hearing under way would only be in its way."""
        if self.hearing is not None:
            self.hearing.cancel()

    async def _hear(self, recording: np.ndarray, until_seconds: float) -> None:
        start = time.monotonic()
        try:
            text = await self.transcribe(recording)
        except ConvaiError:
            return  # a caption can be missed; what is wrong is told with the question
        finally:
            end = time.monotonic()
            self._next_at = max(start + self.every_seconds, end + (end - start))
        await self.tell(Caption(text, until_seconds))
