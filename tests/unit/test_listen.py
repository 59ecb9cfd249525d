import asyncio
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import soxr
from support.fake_client import ANSWER, CHUNKS, FakeClient
from support.places import EXAMPLES

from convai.client import (
    Answered,
    Answering,
    Caption,
    Failed,
    InvalidInput,
    NothingAsked,
    Overloaded,
    SpeechEnded,
    SpeechStarted,
    StepsTimed,
)
from convai.client.listen import listen


@pytest.fixture(scope="module")
def spoken():
    """The example question between silences, at 16 kHz."""
    audio, _ = soundfile.read(EXAMPLES / "question.wav", dtype="float32")
    return np.concatenate([np.zeros(16_000, np.float32), audio, np.zeros(16_000, np.float32)])


async def chunks_of(audio, size=320, sleep_seconds=0.0):
    for start in range(0, len(audio), size):
        yield audio[start : start + size]
        await asyncio.sleep(sleep_seconds)


async def events_in(audio, client=None, sample_rate=16_000, **options):
    events = listen(client or FakeClient(), chunks_of(audio), sample_rate=sample_rate, context="A text.", **options)
    return [event async for event in events]


def without_captions(events):
    return [type(event) for event in events if not isinstance(event, Caption)]


async def test_a_spoken_question_is_captioned_and_answered(spoken):
    events = await events_in(spoken)
    assert without_captions(events) == [SpeechStarted, SpeechEnded, Answered]
    assert any(isinstance(event, Caption) for event in events)
    assert events[-1].answer is ANSWER


async def test_the_question_asked_is_the_recording_told(spoken):
    client = FakeClient()
    events = await events_in(spoken, client, caption_seconds=0)
    ((kind, request),) = client.asked
    (ended,) = [event for event in events if isinstance(event, SpeechEnded)]
    np.testing.assert_array_equal(request.inputs["question_audio"][0], ended.question_audio)
    assert kind == "answer" and request.inputs["context"][0, 0] == b"A text."


async def test_captions_are_heard_with_the_same_text_in_mind_and_go_no_further(spoken):
    client = FakeClient()
    await events_in(spoken, client)
    *captions, question = [request for _, request in client.asked]
    assert captions and all(request.outputs == ("question",) for request in captions)
    assert all(request.inputs["context"][0, 0] == b"A text." for request in captions)
    assert question.outputs != ("question",)


async def test_captions_after_speech_that_was_too_long_begin_anew(spoken, monkeypatch):
    ticks = SimpleNamespace(monotonic=count().__next__)  # or a slow machine rests until the question is over
    monkeypatch.setattr("convai.client.captions.time", ticks)
    endless = np.tile(spoken[16_000:-16_000], 18)
    events = await events_in(np.concatenate([endless, spoken]), caption_seconds=1e-6)
    assert without_captions(events) == [SpeechStarted, NothingAsked, SpeechStarted, SpeechEnded, Answered]
    captions = [event.text if isinstance(event, Caption) else type(event) for event in events]
    too_long, next_question = captions[: captions.index(NothingAsked)], captions[captions.index(NothingAsked) :]
    assert f"{ANSWER.question} {ANSWER.question}" in too_long  # words were settled
    assert {caption for caption in next_question if isinstance(caption, str)} == {ANSWER.question}


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
async def test_any_rate_is_heard(spoken, rate):
    audio = (soxr.resample(spoken, 16_000, rate) * 32767).clip(-32768, 32767).astype(np.int16)
    events = await events_in(audio, sample_rate=rate)
    (ended,) = [event for event in events if isinstance(event, SpeechEnded)]
    assert ended.sample_rate == 16_000
    assert 1.5 < len(ended.question_audio) / 16_000 < 2.5
    assert np.abs(ended.question_audio).max() <= 1


@pytest.mark.parametrize("level", [0.0, 0.003, 0.05, 0.3])
async def test_noise_asks_nothing(level):
    client = FakeClient()
    noise = (level * np.random.default_rng(0).standard_normal(80_000)).clip(-1, 1).astype(np.float32)
    assert await events_in(noise, client) == [NothingAsked("no speech")]
    assert client.asked == []


async def test_hum_and_a_tone_ask_nothing():
    time = np.arange(80_000) / 16_000
    for frequency in (50, 440):
        tone = (0.3 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)
        assert await events_in(tone) == [NothingAsked("no speech")]


async def test_a_question_that_fails_does_not_end_the_listening(spoken):
    twice = np.concatenate([spoken, spoken])
    events = await events_in(twice, FakeClient(error=Overloaded("busy")))
    assert without_captions(events) == [SpeechStarted, SpeechEnded, Failed] * 2


async def test_answers_come_in_the_order_of_the_questions(spoken):
    client = FakeClient()
    client.gate = asyncio.Event()
    kinds = []
    twice = np.concatenate([spoken, spoken])
    async for event in listen(client, chunks_of(twice), sample_rate=16_000, context="A text.", caption_seconds=0):
        kinds.append(type(event))
        if kinds == [SpeechStarted, SpeechEnded] * 2:
            assert len(client.asked) == 1  # the second waits for the first
            client.gate.set()
    assert kinds == [SpeechStarted, SpeechEnded] * 2 + [Answered] * 2


async def test_without_a_pause_the_question_ends_with_the_audio(spoken):
    twice = np.concatenate([spoken, spoken])
    assert without_captions(await events_in(twice, pause_seconds=None)) == [SpeechStarted, SpeechEnded, Answered]


async def test_leaving_the_loop_ends_all_that_runs(spoken):
    client = FakeClient()
    client.gate = asyncio.Event()
    before = asyncio.all_tasks()
    events = listen(client, chunks_of(spoken), sample_rate=16_000, context="A text.")
    async for event in events:
        if isinstance(event, SpeechEnded):
            break
    await events.aclose()
    assert asyncio.all_tasks() == before


async def test_a_failing_microphone_is_the_callers_to_hear_of():
    async def broken():
        yield np.zeros(320, np.float32)
        raise RuntimeError("unplugged")

    with pytest.raises(RuntimeError, match="unplugged"):
        async for _ in listen(FakeClient(), broken(), sample_rate=16_000, context="A text."):
            pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pause_seconds": 0.0}, "pause_seconds is 0.0; allowed is 0.2 to 5.0 s"),
        ({"pause_seconds": float("nan")}, "pause_seconds is nan"),
        ({"sample_rate": 4_000}, "sample_rate is 4000; allowed is a whole number from 8000 to 48000"),
        ({"sample_rate": 16_000.5}, "sample_rate is 16000.5"),
        ({"context": None}, "context is of type NoneType; expected str"),
    ],
)
async def test_wrong_arguments_are_told_before_anything_is_heard(options, message):
    wanted = {"sample_rate": 16_000, "context": "A text."} | options
    with pytest.raises(InvalidInput, match=message):
        async for _ in listen(FakeClient(), chunks_of(np.zeros(0)), **wanted):
            pass


async def test_stereo_is_refused_with_the_way_out():
    with pytest.raises(InvalidInput, match="Average the channels"):
        await events_in(np.zeros((640, 2), np.float32))


# Answers that are streamed


def answer_chunks(events):
    return [event.chunk for event in events if isinstance(event, Answering)]


async def test_a_streamed_answer_comes_chunk_by_chunk_and_its_steps_after_the_last(spoken):
    client = FakeClient()
    events = await events_in(spoken, client, stream=True, time_steps=True, caption_seconds=0)
    assert answer_chunks(events) == CHUNKS
    assert without_captions(events) == [SpeechStarted, SpeechEnded, *[Answering] * len(CHUNKS), StepsTimed]
    ((kind, request),) = client.asked
    assert (kind, request.model) == ("chunks", "convai_ensemble_stream")


async def test_the_first_chunk_is_told_before_the_others_are_made(spoken):
    client = FakeClient()
    client.stream_gate = asyncio.Event()
    async for event in listen(client, chunks_of(spoken), sample_rate=16_000, context="A text.", stream=True):
        if isinstance(event, Answering) and event.chunk.chunk_index == 0:
            assert client.closed_streams == 0
            client.stream_gate.set()
    assert client.closed_streams == 1


async def test_an_error_in_mid_stream_is_told_after_the_chunks_before_it(spoken):
    client = FakeClient(streamed=CHUNKS[:2], stream_error=Overloaded("busy"))
    events = await events_in(np.concatenate([spoken, spoken]), client, stream=True, caption_seconds=0)
    assert without_captions(events) == [SpeechStarted, SpeechEnded, Answering, Answering, Failed] * 2


async def test_whoever_speaks_again_gets_no_more_of_the_answer_and_is_answered_anew(spoken):
    client, microphone = FakeClient(), asyncio.Queue()
    client.stream_gate = asyncio.Event()  # the first answer never ends by itself
    microphone.put_nowait(spoken)

    async def chunks():
        while (chunk := await microphone.get()) is not None:
            yield chunk

    kinds = []
    async for event in listen(
        client, chunks(), sample_rate=16_000, context="A text.", stream=True, caption_seconds=0, time_steps=True
    ):
        kinds.append(type(event))
        if kinds.count(Answering) == 1:
            microphone.put_nowait(spoken)
            microphone.put_nowait(None)
        if kinds.count(SpeechStarted) == 2:
            client.stream_gate.set()
    begin = [SpeechStarted, SpeechEnded]
    assert kinds == [*begin, Answering, *begin, *[Answering] * len(CHUNKS), StepsTimed]
    assert client.closed_streams == 2


async def test_a_question_whose_answer_has_not_begun_is_answered_though_the_next_is_spoken(spoken):
    client = FakeClient()
    client.gate = asyncio.Event()
    kinds = []
    twice = chunks_of(np.concatenate([spoken, spoken]))
    async for event in listen(client, twice, sample_rate=16_000, context="A text.", stream=True, caption_seconds=0):
        kinds.append(type(event))
        if kinds.count(SpeechEnded) == 2:
            client.gate.set()
    assert kinds == [SpeechStarted, SpeechEnded] * 2 + [Answering] * len(CHUNKS) * 2


async def test_leaving_the_loop_cancels_a_stream(spoken):
    client = FakeClient()
    client.stream_gate = asyncio.Event()
    before = asyncio.all_tasks()
    events = listen(client, chunks_of(spoken), sample_rate=16_000, context="A text.", stream=True)
    async for event in events:
        if isinstance(event, Answering):
            break
    await events.aclose()
    assert client.closed_streams == 1 and asyncio.all_tasks() == before
