import asyncio

import numpy as np

from convai.client.captions import Captions
from convai.client.errors import Overloaded
from convai.client.listen_events import Caption
from convai.client.turns import Turns

WINDOW_SECONDS = 0.032


class Recogniser:
    """Hears as many words as there are windows; each hearing waits until the test lets it go."""

    def __init__(self, error=None):
        self.error = error
        self.hearings = []
        self.told = []

    async def transcribe(self, recording):
        self.hearings.append(asyncio.get_running_loop().create_future())
        await self.hearings[-1]
        if self.error:
            raise self.error
        return f"{len(recording) // 512} windows"

    async def tell(self, caption):
        self.told.append(caption)

    async def finish(self):
        """Let the last hearing end."""
        await asyncio.sleep(0)
        if not self.hearings[-1].done():
            self.hearings[-1].set_result(None)
        for _ in range(3):
            await asyncio.sleep(0)


def captions_of(recogniser, every_seconds=1e-6):
    return Captions(recogniser.transcribe, recogniser.tell, every_seconds)


def speak(turns, windows, is_speech=True):
    level = 0.5 if is_speech else 0.0
    list(turns.hear(np.full(windows * 512, level, np.float32)))


def speaking(windows=10, pause_seconds=None):
    turns = Turns(lambda window: float(window.max() > 0), pause_seconds)
    speak(turns, windows)
    return turns


async def test_a_caption_tells_how_far_it_heard():
    recogniser = Recogniser()
    captions_of(recogniser).update(speaking(10))
    await recogniser.finish()
    assert recogniser.told == [Caption("10 windows", 10 * WINDOW_SECONDS)]


async def test_one_hearing_at_a_time():
    recogniser, turns = Recogniser(), speaking()
    captions = captions_of(recogniser)
    for _ in range(5):
        captions.update(turns)
        speak(turns, 2)
        await asyncio.sleep(0)
    assert len(recogniser.hearings) == 1


async def test_after_the_last_word_the_question_is_heard_as_it_will_be_asked_and_not_again():
    recogniser, turns = Recogniser(), speaking()
    captions = captions_of(recogniser)
    await hear_all(captions, recogniser, turns)
    for _ in range(3):
        speak(turns, 10, is_speech=False)
        await hear_all(captions, recogniser, turns)
    (ended,) = turns.end()
    assert [caption.text for caption in recogniser.told] == [
        "10 windows",
        f"{len(ended.question_audio) // 512} windows",
    ]


async def test_a_long_silence_is_not_heard():
    recogniser, turns = Recogniser(), speaking()
    captions = captions_of(recogniser)
    for windows, is_speech in ((600, False), (10, True)):
        speak(turns, windows, is_speech)
        await hear_all(captions, recogniser, turns)
    assert [caption.text for caption in recogniser.told] == ["18 windows", "18 windows 10 windows"]


async def test_after_a_hearing_the_recogniser_rests_as_long_as_it_took():
    recogniser, turns = Recogniser(), speaking()
    captions = captions_of(recogniser)
    captions.update(turns)
    await asyncio.sleep(0.2)
    await recogniser.finish()
    speak(turns, 2)
    captions.update(turns)
    await asyncio.sleep(0)
    assert len(recogniser.hearings) == 1
    await asyncio.sleep(0.25)
    captions.update(turns)
    await asyncio.sleep(0)
    assert len(recogniser.hearings) == 2


async def hear_all(captions, recogniser, turns):
    await asyncio.sleep(0.001)
    captions.update(turns)
    await recogniser.finish()


async def test_words_before_a_silence_in_a_long_question_are_settled():
    recogniser, turns = Recogniser(), speaking(150)
    captions = captions_of(recogniser)
    await hear_all(captions, recogniser, turns)
    speak(turns, 8, is_speech=False)
    await hear_all(captions, recogniser, turns)
    speak(turns, 10)
    await hear_all(captions, recogniser, turns)
    assert [caption.text for caption in recogniser.told] == [
        "150 windows",
        "158 windows",
        "158 windows 10 windows",
    ]


async def test_no_hearing_covers_much_more_than_8_seconds_however_long_one_speaks():
    recogniser, turns = Recogniser(), speaking(10)
    captions = captions_of(recogniser)
    for _ in range(80):
        speak(turns, 10)
        await hear_all(captions, recogniser, turns)
    longest = max(int(caption.text.split()[-2]) for caption in recogniser.told)
    assert 8 <= longest * WINDOW_SECONDS < 8.5
    heard = sum(int(word) for word in recogniser.told[-1].text.split()[::2])
    assert heard == 810  # all of it, no part twice


async def test_the_next_question_begins_with_no_words():
    recogniser, turns = Recogniser(), speaking(260, pause_seconds=1.0)
    captions = captions_of(recogniser)
    await hear_all(captions, recogniser, turns)
    speak(turns, 40, is_speech=False)
    captions.stop()
    speak(turns, 10)
    await hear_all(captions, recogniser, turns)
    assert "260" in recogniser.told[0].text and "260" not in recogniser.told[-1].text


async def test_a_caption_that_fails_is_left_out_and_the_next_one_comes():
    recogniser, turns = Recogniser(Overloaded("busy")), speaking()
    captions = captions_of(recogniser)
    captions.update(turns)
    await recogniser.finish()
    assert recogniser.told == []
    recogniser.error = None
    speak(turns, 2)
    await asyncio.sleep(0.01)
    captions.update(turns)
    await recogniser.finish()
    assert [caption.text for caption in recogniser.told] == ["12 windows"]


async def test_a_caption_of_a_question_that_is_complete_is_not_told():
    recogniser = Recogniser()
    captions = captions_of(recogniser)
    captions.update(speaking())
    await asyncio.sleep(0)
    captions.stop()
    await recogniser.finish()
    assert recogniser.told == []


async def test_0_seconds_turns_captions_off():
    recogniser = Recogniser()
    captions_of(recogniser, every_seconds=0).update(speaking())
    await asyncio.sleep(0)
    assert recogniser.hearings == []
