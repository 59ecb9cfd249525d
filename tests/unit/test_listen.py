import asyncio
from contextlib import aclosing

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
    Transcribed,
)
from convai.description.recognisers import RECOGNISERS, steps_with

OPTIONS = {"sample_rate": 16_000, "context": "A text."}


@pytest.fixture(scope="module")
def spoken():
    """The example question between silences, at 16 kHz."""
    audio, _ = soundfile.read(EXAMPLES / "question.wav", dtype="float32")
    return np.concatenate([np.zeros(16_000, np.float32), audio, np.zeros(16_000, np.float32)])


@pytest.fixture
def spoken_twice(spoken):
    return np.concatenate([spoken, spoken])


async def chunks_of(audio, size=1_600):
    for start in range(0, len(audio), size):
        yield audio[start : start + size]
        await asyncio.sleep(0)


async def events_in(audio, client=None, **options):
    events = (client or FakeClient()).listen(chunks_of(audio), **(OPTIONS | options))
    return [event async for event in events]


def without_captions(events):
    return [type(event) for event in events if not isinstance(event, Caption)]


async def test_a_spoken_question_is_captioned_and_answered_with_the_context(spoken):
    client = FakeClient()
    events = await events_in(spoken, client)
    assert without_captions(events) == [SpeechStarted, SpeechEnded, Answered]
    assert any(isinstance(event, Caption) for event in events) and events[-1].answer is ANSWER
    *captions, question = [request for _, request in client.asked]
    assert captions and all(request.outputs == ("question",) for request in captions)
    assert {request.inputs["context"][0, 0] for request in (*captions, question)} == {b"A text."}
    np.testing.assert_array_equal(question.inputs["question_audio"][0], events[-2].question_audio)


async def test_without_a_context_a_question_is_only_transcribed(spoken):
    client = FakeClient()
    events = await events_in(spoken, client, context=None, stream=True)
    assert without_captions(events) == [SpeechStarted, SpeechEnded, Transcribed]
    assert any(isinstance(event, Caption) for event in events) and events[-1].text == ANSWER.question
    assert {(kind, request.model) for kind, request in client.asked} == {("answer", "speech_to_text")}


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
async def test_every_sample_rate_is_resampled(spoken, rate):
    audio = (soxr.resample(spoken, 16_000, rate) * 32767).clip(-32768, 32767).astype(np.int16)
    events = await events_in(audio, sample_rate=rate)
    (ended,) = [event for event in events if isinstance(event, SpeechEnded)]
    assert ended.sample_rate == 16_000
    assert 1.5 < len(ended.question_audio) / 16_000 < 2.5
    assert np.abs(ended.question_audio).max() <= 1


def noise(level):
    return (level * np.random.default_rng(0).standard_normal(80_000)).clip(-1, 1).astype(np.float32)


def tone(hertz):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(80_000) / 16_000)).astype(np.float32)


@pytest.mark.parametrize("audio", [noise(0), noise(0.003), noise(0.3), tone(50), tone(440)])
async def test_silence_noise_and_tones_ask_nothing(audio):
    client = FakeClient()
    assert await events_in(audio, client) == [NothingAsked("no speech")]
    assert client.asked == []


async def test_a_question_that_fails_does_not_end_the_listening(spoken_twice):
    events = await events_in(spoken_twice, FakeClient(error=Overloaded("busy")))
    assert without_captions(events) == [SpeechStarted, SpeechEnded, Failed] * 2


async def test_an_error_of_the_microphone_reaches_the_caller():
    async def broken():
        yield np.zeros(320, np.float32)
        raise RuntimeError("unplugged")

    with pytest.raises(RuntimeError, match="unplugged"):
        async for _ in FakeClient().listen(broken(), **OPTIONS):
            pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pause_seconds": 0.0}, "pause_seconds: expected 0.2 to 5.0 s, or None to end with the audio, got 0.0"),
        ({"pause_seconds": float("nan")}, "pause_seconds: .* got nan"),
        ({"sample_rate": 4_000}, "sample_rate: expected a whole number from 8000 to 48000, got 4000"),
        ({"context": 3}, "context: expected str, got int"),
    ],
)
async def test_an_invalid_argument_raises_at_once(options, message):
    with pytest.raises(InvalidInput, match=message):
        FakeClient().listen(chunks_of(np.zeros(0)), **(OPTIONS | options))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("recogniser", RECOGNISERS.values(), ids=RECOGNISERS)
async def test_the_steps_of_the_servers_own_recogniser_are_timed_without_waiting(spoken, recogniser, stream):
    client = FakeClient(recogniser=recogniser)
    events = await events_in(spoken, client, stream=stream, time_steps=True, caption_seconds=0)
    answer_events = [Answering] * len(CHUNKS) if stream else [Answered]
    assert without_captions(events) == [SpeechStarted, SpeechEnded, *answer_events, StepsTimed]
    times = {time.step: time for time in events[-1].steps}
    assert times.keys() >= {step.name for step in recogniser.steps}
    assert times.keys() <= {step.name for step in steps_with(recogniser)}
    assert {(time.requests, time.seconds) for time in times.values()} == {(1, 0.002)}
    ((_, request),) = client.asked
    assert request.model == ("convai_ensemble_stream" if stream else "convai_ensemble")
    assert client.statistics_reads == 2  # before and after: none of the steps is waited for in vain


async def test_an_answer_whose_times_cannot_be_read_has_not_failed(spoken):
    class Untimed(FakeClient):
        async def times_since(self, before, request):
            raise Overloaded("busy")

    events = await events_in(spoken, Untimed(), time_steps=True, caption_seconds=0)
    assert without_captions(events) == [SpeechStarted, SpeechEnded, Answered]


async def test_a_streamed_answer_comes_chunk_by_chunk_as_it_is_made(spoken):
    client, chunks = FakeClient(), []
    client.stream_gate = asyncio.Event()
    async for event in client.listen(chunks_of(spoken), **OPTIONS, stream=True):
        if isinstance(event, Answering):
            assert client.closed_streams == 0 or chunks
            chunks.append(event.chunk)
            client.stream_gate.set()
    assert chunks == CHUNKS and client.closed_streams == 1


async def test_an_error_in_mid_stream_follows_the_chunks_before_it(spoken_twice):
    client = FakeClient(streamed=CHUNKS[:2], stream_error=Overloaded("busy"))
    events = await events_in(spoken_twice, client, stream=True, caption_seconds=0)
    assert without_captions(events) == [SpeechStarted, SpeechEnded, Answering, Answering, Failed] * 2


async def test_new_speech_cancels_the_rest_of_an_answer_and_is_answered(spoken):
    client, microphone = FakeClient(), asyncio.Queue()
    client.stream_gate = asyncio.Event()  # the first answer never ends by itself
    microphone.put_nowait(spoken)

    async def chunks():
        while (chunk := await microphone.get()) is not None:
            yield chunk

    kinds = []
    async for event in client.listen(chunks(), **OPTIONS, stream=True, caption_seconds=0, time_steps=True):
        kinds.append(type(event))
        if kinds.count(Answering) == 1:
            microphone.put_nowait(spoken)
            microphone.put_nowait(None)
        if kinds.count(SpeechStarted) == 2:
            client.stream_gate.set()
    begin = [SpeechStarted, SpeechEnded]
    assert kinds == [*begin, Answering, *begin, *[Answering] * len(CHUNKS), StepsTimed]
    assert client.closed_streams == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_second_question_waits_for_the_answer_to_the_first(spoken_twice, stream):
    client = FakeClient()
    client.gate = asyncio.Event()
    kinds = []
    async for event in client.listen(chunks_of(spoken_twice), **OPTIONS, stream=stream, caption_seconds=0):
        kinds.append(type(event))
        if kinds == [SpeechStarted, SpeechEnded] * 2:
            assert len(client.asked) == 1
            client.gate.set()
    answers = [Answering] * len(CHUNKS) if stream else [Answered]
    assert kinds == [SpeechStarted, SpeechEnded] * 2 + answers * 2


@pytest.fixture
def unfinished(spoken):
    """A question and 0.4 s of silence, which is shorter than the pause."""
    return spoken[:-9_600]


async def parts_of(client, *parts):
    """Yield each part of a recording once the client was asked about those before it."""
    for number, part in enumerate(parts):
        while len(client.asked) < number:
            await asyncio.sleep(0)
        async for chunk in chunks_of(part):
            yield chunk


@pytest.mark.parametrize("stream", [False, True])
async def test_a_question_is_asked_during_the_pause_and_answered_once_it_has_ended(spoken, unfinished, stream):
    client, events = FakeClient(), []
    parts = parts_of(client, unfinished, spoken[-16_000:])
    async for event in client.listen(parts, **OPTIONS, stream=stream, caption_seconds=0):
        events.append(event)
        if isinstance(event, SpeechEnded):
            ((_, request),) = client.asked
            np.testing.assert_array_equal(request.inputs["question_audio"][0], event.question_audio)
    answers = [Answering] * len(CHUNKS) if stream else [Answered]
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded, *answers]
    assert len(client.asked) == 1


async def test_the_answer_to_half_a_question_is_dropped_unheard(spoken, unfinished):
    client = FakeClient()
    parts = parts_of(client, unfinished, spoken[16_000:])
    events = [event async for event in client.listen(parts, **OPTIONS, stream=True, caption_seconds=0)]
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded, *[Answering] * len(CHUNKS)]
    (_, first), (_, second) = client.asked
    assert first.inputs["question_audio"].shape < second.inputs["question_audio"].shape
    np.testing.assert_array_equal(second.inputs["question_audio"][0], events[1].question_audio)
    assert client.closed_streams == 2


async def test_after_a_refusal_a_question_is_asked_only_once_it_has_ended(spoken, unfinished):
    client = FakeClient(error=Overloaded("busy"))
    parts = parts_of(client, unfinished, np.concatenate([spoken[-16_000:], spoken]))
    events = [event async for event in client.listen(parts, **OPTIONS, caption_seconds=0)]
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded, Failed] * 2
    assert len(client.asked) == 3  # the first question twice


async def test_leaving_the_loop_cancels_a_request_of_a_question_that_has_not_ended(unfinished):
    client = FakeClient()
    client.gate = asyncio.Event()
    before = asyncio.all_tasks()
    parts = parts_of(client, unfinished, unfinished[:0], unfinished)
    async with aclosing(client.listen(parts, **OPTIONS, stream=True, caption_seconds=0)) as events:
        await anext(events)
        while not client.asked:
            await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize("last", [SpeechEnded, Answering])
async def test_leaving_the_loop_cancels_everything(spoken, last):
    client = FakeClient()
    client.gate = asyncio.Event() if last is SpeechEnded else None
    client.stream_gate = asyncio.Event()
    before = asyncio.all_tasks()
    async with aclosing(client.listen(chunks_of(spoken), **OPTIONS, stream=True)) as events:
        async for event in events:
            if isinstance(event, last):
                break
    assert client.closed_streams == (last is Answering)
    assert asyncio.all_tasks() == before
