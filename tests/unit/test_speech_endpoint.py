"""Speech in every format while it is spoken, called as an ASGI server calls it."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import numpy as np
import pytest
from support.asgi_call import Call
from support.fake_client import ANSWER, CHUNKS, FakeClient

from convai.client import InvalidInput, Overloaded
from convai.client.audio_decoding import read_audio
from convai.talk.audio_formats import ENCODINGS

FORMATS = sorted(ENCODINGS)
DELAYED = ("mp3", "aac")  # their encoders begin with silence, which their decoders may drop


@asynccontextmanager
async def waiting_after_the_first_chunk(**body):
    """A call whose speech is not yet spoken to its end, its status and the beginning of its body."""
    fake = FakeClient()
    fake.stream_gate = asyncio.Event()
    call = Call(fake, **body)
    start, first = await call.read(), await call.read()
    assert start["status"] == 200 and not fake.closed_streams
    yield fake, call, first["body"]
    assert fake.closed_streams == 1


def decode(audio_format, data):
    """Samples and rate."""
    return (np.frombuffer(data, "<i2") / 32768, 24_000) if audio_format == "pcm" else read_audio(data)


@pytest.mark.parametrize("audio_format", FORMATS)
async def test_every_format_is_sent_while_it_is_spoken(audio_format):
    async with waiting_after_the_first_chunk(response_format=audio_format) as (fake, call, first):
        assert len(first) > 300
        begun, rate = decode(audio_format, first)
        assert 0.1 < len(begun) / rate < 0.4  # of a chunk of 0.33 s
        fake.stream_gate.set()
        rest, is_complete = await call.read_rest()
    assert is_complete
    audio, rate = decode(audio_format, first + rest)
    assert rate % ENCODINGS[audio_format].sample_rate == 0  # ffmpeg decodes all Opus at 48 kHz
    assert len(audio) / rate == pytest.approx(1, abs=0.12 if audio_format in DELAYED else 1e-3)
    assert np.sqrt(np.mean(audio**2)) == pytest.approx(np.sqrt(np.mean(ANSWER.answer_audio**2)), rel=0.1)
    if audio_format in ("wav", "flac"):
        np.testing.assert_allclose(audio, ANSWER.answer_audio, atol=1e-4)


@pytest.mark.parametrize(("audio_format", "stream_format"), [*((each, "audio") for each in FORMATS), ("mp3", "sse")])
async def test_a_caller_who_goes_stops_the_work(audio_format, stream_format):
    options = {"response_format": audio_format, "stream_format": stream_format}
    async with waiting_after_the_first_chunk(**options) as (_, call, _):
        await call.leave()


CHAT = b'{"messages": [{"role": "system", "content": "A text."}, {"role": "user", "content": "who"}]}'
CALLS = {
    "audio/speech": (),
    "chat/completions": ("/v1/chat/completions", CHAT),
    "ask": ("/v1/ask", b"question=who&context=A+text.", "application/x-www-form-urlencoded"),
}


@pytest.mark.parametrize("interface", CALLS)
async def test_a_caller_who_goes_before_the_response_stops_the_work(interface):
    fake = FakeClient()
    fake.gate = asyncio.Event()
    call = Call(fake, *CALLS[interface])
    async with asyncio.timeout(10):
        while not fake.asked:
            await asyncio.sleep(0)
    await call.leave()
    assert (await call.read())["status"] == 499
    counted = {"interface": interface, "outcome": "left"}
    assert call.app.state.metrics.registry.get_sample_value("convai_talk_request_seconds_count", counted) == 1


async def test_events_have_the_audio_in_base64_and_end_with_the_usage():
    body, is_complete = await Call(FakeClient(), response_format="wav", stream_format="sse").read_rest()
    *deltas, done = read_events(body)
    assert is_complete and len(deltas) == len(CHUNKS)
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    audio, _ = read_audio(b"".join(base64.b64decode(event["audio"]) for event in deltas))
    np.testing.assert_allclose(audio, ANSWER.answer_audio, atol=1e-4)
    usage = {"input_tokens": 5, "output_tokens": 86, "total_tokens": 91}
    assert done == {"type": "speech.audio.done", "usage": usage}


def read_events(body):
    return [json.loads(event.removeprefix("data: ")) for event in body.decode().split("\n\n") if event]


async def test_speech_that_breaks_off_has_its_beginning_and_no_end(caplog):
    def fail():
        return FakeClient(streamed=CHUNKS[:1], stream_error=Overloaded("busy"))

    body, is_complete = await Call(fail(), response_format="pcm").read_rest()
    assert 0.8 < len(body) / (2 * 24_000 / 3) < 1 and not is_complete
    (record,) = (each for each in caplog.records if each.levelname == "ERROR")
    assert "speech broke off: busy (request " in record.getMessage() and record.exc_info is None
    body, is_complete = await Call(fail(), stream_format="sse").read_rest()
    assert read_events(body)[-1]["error"]["message"].startswith("the server is busy") and not is_complete


async def test_a_server_that_does_not_stream_speaks_whole_or_refuses():
    fake = FakeClient(models=())
    body, _ = await Call(fake, response_format="wav", speed=1.5).read_rest()
    assert len(read_audio(body)[0]) == len(ANSWER.answer_audio)
    assert (fake.asked, fake.speed) == ([("speak", "Hello")], 1.5)
    fake.whole_error = InvalidInput("at most 600 symbols")
    assert (await Call(fake).read())["status"] == 400


async def test_speed_reaches_the_server():
    fake = FakeClient()
    await Call(fake, speed=0.5, instructions="Whisper.", voice={"id": "voice_1"}).read_rest()
    assert (fake.asked, fake.speed) == ([("speak_stream", "Hello")], 0.5)
