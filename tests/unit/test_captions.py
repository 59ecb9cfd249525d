import asyncio
import itertools
from contextlib import suppress
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from convai.client.captions import Captions
from convai.client.errors import Overloaded
from convai.client.listen_events import Caption
from convai.client.turns import WINDOW_SAMPLES, WINDOW_SECONDS, Turns


class Speaker:
    """Speech whose transcript counts its windows; each transcription waits until `finish`."""

    def __init__(self, every_seconds=1e-6, pause_seconds=None):
        self.turns = Turns(lambda window: float(window.max() > 0), pause_seconds)
        self.captions = Captions(self.transcribe, self.put, every_seconds)
        self.error = None
        self.started = 0
        self.texts = []

    async def transcribe(self, recording):
        self.started += 1
        self.is_finished = asyncio.Event()
        await self.is_finished.wait()
        if self.error:
            raise self.error
        return f"{len(recording) // WINDOW_SAMPLES} windows"

    async def put(self, caption):
        self.texts.append(caption.text)
        self.last = caption

    def add(self, windows, is_speech=True):
        list(self.turns.take(np.full(windows * WINDOW_SAMPLES, 0.5 if is_speech else 0.0, np.float32)))

    async def update(self):
        self.captions.update(self.turns)
        await asyncio.sleep(0)

    async def finish(self):
        if self.captions.task is not None:
            self.is_finished.set()
            with suppress(asyncio.CancelledError):
                await self.captions.task

    async def caption(self, windows=0, is_speech=True):
        """Add windows, then start a transcription if it is time, and finish it."""
        self.add(windows, is_speech)
        await self.update()
        await self.finish()


@pytest.fixture(autouse=True)
def steady_clock(monkeypatch):
    """A second passes between any two looks at the clock, so the next transcription is always due."""
    monkeypatch.setattr("convai.client.captions.time", SimpleNamespace(monotonic=partial(next, itertools.count())))


async def test_a_caption_has_the_time_up_to_which_it_covers_the_audio():
    speaker = Speaker()
    await speaker.caption(10)
    assert speaker.last == Caption("10 windows", 10 * WINDOW_SECONDS)


async def test_a_long_silence_is_not_transcribed():
    speaker = Speaker()
    for windows, is_speech in ((10, True), (600, False), (10, True)):
        await speaker.caption(windows, is_speech)
    assert speaker.texts[1:] == ["16 windows", "16 windows 10 windows"]


async def test_after_a_transcription_the_recogniser_idles_as_long_as_it_took(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("convai.client.captions.time", SimpleNamespace(monotonic=lambda: clock[0]))
    speaker = Speaker()
    speaker.add(10)
    await speaker.update()
    clock[0] = 0.2
    await speaker.finish()
    speaker.add(2)
    for clock[0], started in ((0.39, 1), (0.41, 2)):
        await speaker.update()
        assert speaker.started == started


async def test_a_transcription_covers_little_more_than_8_seconds_of_a_long_question():
    speaker = Speaker()
    for _ in range(81):
        await speaker.caption(10)
    longest = max(int(text.split()[-2]) for text in speaker.texts)
    assert 8 <= longest * WINDOW_SECONDS < 8.5
    assert sum(int(word) for word in speaker.texts[-1].split()[::2]) == 810  # all of it, no part twice


async def test_the_next_question_begins_with_no_words():
    speaker = Speaker(pause_seconds=1.0)
    await speaker.caption(260)
    speaker.add(40, is_speech=False)
    speaker.captions.stop()
    await speaker.caption(10)
    assert "260" in speaker.texts[0] and "260" not in speaker.texts[-1]


async def test_a_caption_that_fails_is_left_out_and_the_next_one_comes():
    speaker = Speaker()
    speaker.error = Overloaded("busy")
    await speaker.caption(10)
    assert speaker.texts == []
    speaker.error = None
    await speaker.caption(2)
    assert speaker.texts == ["12 windows"]


async def test_a_complete_question_gets_no_caption():
    speaker = Speaker()
    speaker.add(10)
    await speaker.update()
    speaker.captions.stop()
    await speaker.finish()
    assert speaker.started == 1 and speaker.texts == []
