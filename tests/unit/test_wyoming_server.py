import socket

import numpy as np
import pytest
from support.fake_client import ANSWER, CHUNKS, FakeClient
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize

from convai.client import InvalidInput, Overloaded, ServerUnreachable
from convai.description.recognisers import RECOGNISERS
from convai.talk.access import ConcurrencyLimit
from convai.talk.wyoming_server import start_wyoming

FORMAT = {"rate": 16_000, "width": 2, "channels": 1}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture
async def fake():
    return FakeClient()


@pytest.fixture
async def client(fake):
    port = free_port()
    server = await start_wyoming("127.0.0.1", port, fake, ConcurrencyLimit(2))
    async with AsyncTcpClient("127.0.0.1", port) as client:
        yield client
    await server.stop()


async def send_recording(client, seconds=1.0, **audio_format):
    audio_format = FORMAT | audio_format
    await client.write_event(Transcribe(language="en").event())
    await client.write_event(AudioStart(**audio_format).event())
    part = bytes(audio_format["rate"] // 10 * audio_format["width"] * audio_format["channels"])
    for _ in range(round(10 * seconds)):
        await client.write_event(AudioChunk(audio=part, **audio_format).event())
    await client.write_event(AudioStop().event())


async def receive_info(client):
    await client.write_event(Describe().event())
    return Info.from_event(await client.read_event())


async def test_it_transcribes_and_speaks_english(client):
    info = await receive_info(client)
    assert info.asr[0].models[0].languages == info.tts[0].voices[0].languages == ["en"]
    assert info.asr[0].installed and info.tts[0].installed


@pytest.mark.parametrize("recogniser", RECOGNISERS.values(), ids=RECOGNISERS)
async def test_it_names_the_recogniser_of_the_server(client, fake, recogniser):
    fake.steps = [step.name for step in recogniser.steps]
    assert (await receive_info(client)).asr[0].description.lower() == recogniser.name


async def test_a_server_that_does_not_answer_has_a_description(client, fake):
    async def refuse():
        raise ServerUnreachable("gone")

    fake.read_counters = refuse
    assert (await receive_info(client)).asr[0].description == "unknown"


async def test_recordings_are_transcribed_one_after_the_other(client):
    for audio_format in ({}, {"rate": 48_000}, {"channels": 2}):
        await send_recording(client, 1.5, **audio_format)
        assert Transcript.from_event(await client.read_event()).text == "1.50 s"


@pytest.mark.parametrize("is_too_long", [False, True])
async def test_a_text_is_spoken(client, fake, is_too_long):
    """One that is too long to be spoken whole comes in chunks."""
    fake.whole_error = InvalidInput("too long") if is_too_long else None
    await client.write_event(Synthesize(text="Hello").event())
    start = AudioStart.from_event(await client.read_event())
    samples = b""
    while not AudioStop.is_type((event := await client.read_event()).type):
        samples += AudioChunk.from_event(event).audio
    assert (start.rate, start.width, start.channels) == (22_050, 2, 1)
    np.testing.assert_allclose(np.frombuffer(samples, "<i2") / 32767, ANSWER.answer_audio, atol=1e-4)
    assert [kind for kind, _ in fake.asked] == (["speak", "speak_stream"] if is_too_long else ["speak"])


async def test_speech_that_breaks_off_ends_with_an_error(client, fake):
    fake.whole_error, fake.stream_error, fake.streamed = InvalidInput("too long"), Overloaded("busy"), CHUNKS[:1]
    await client.write_event(Synthesize(text="Hello").event())
    kinds = [(await client.read_event()).type for _ in range(4)]
    assert kinds == ["audio-start", "audio-chunk", "audio-chunk", "error"]


async def receive_error(client):
    return Error.from_event(await client.read_event())


async def test_too_long_a_recording_is_refused_and_forgotten(client):
    await send_recording(client, 30.1)
    assert "expected at most 30 s" in (await receive_error(client)).text
    await send_recording(client)
    assert Transcript.from_event(await client.read_event()).text == "1.00 s"


@pytest.mark.parametrize(
    ("seconds", "audio_format", "message"),
    [
        (0, {}, "expected audio before audio-stop, got none"),
        (0.1, {"width": 3}, "24 bit"),
        (0.1, {"rate": 1_000_000}, "at 1000000 Hz"),  # seconds of it could be gigabytes
    ],
)
async def test_an_invalid_recording_is_refused(client, seconds, audio_format, message):
    await send_recording(client, seconds, **audio_format)
    assert message in (await receive_error(client)).text


async def test_a_busy_server_is_reported_and_the_connection_goes_on(client, fake):
    fake.error = Overloaded("busy")
    await send_recording(client)
    assert await receive_error(client) == Error("busy", "Overloaded")
    fake.error = None
    await send_recording(client)
    assert Transcript.from_event(await client.read_event()).text == "1.00 s"


async def test_an_event_that_claims_gigabytes_ends_the_connection(client):
    client._writer.write(b'{"type": "audio-chunk", "payload_length": 9000000000}\n')
    await client._writer.drain()
    assert await client.read_event() is None
