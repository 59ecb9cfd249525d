import asyncio
import json
import os
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from prometheus_client import generate_latest
from support.fake_client import ANSWER, CHUNKS, FakeClient
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.event import Event
from wyoming.handle import Handled, NotHandled
from wyoming.info import Describe, Info
from wyoming.ping import Ping
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from convai.client import InvalidInput, Overloaded, ServerUnreachable
from convai.description.limits import MAX_CONTEXT_BYTES
from convai.description.recognisers import RECOGNISERS
from convai.errors import InvalidArgument
from convai.talk import wyoming_events, wyoming_handler, wyoming_recording, wyoming_server
from convai.talk.access import ConcurrencyLimit
from convai.talk.context_file import ContextFile
from convai.talk.metrics import Metrics
from convai.talk.wyoming_server import announce_port, listen

FORMAT = {"rate": 16_000, "width": 2, "channels": 1}


@pytest.fixture
async def fake():
    return FakeClient()


@pytest.fixture
def limit():
    return ConcurrencyLimit(4)


@pytest.fixture
def context_file(tmp_path):
    file = tmp_path / "context.txt"
    file.write_text("The house is blue.")
    return file


@pytest.fixture
async def connect(fake, limit, context_file):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with listen(listening, fake, limit, ContextFile(context_file)):
            yield lambda: AsyncTcpClient(*listening.getsockname())


@pytest.fixture
async def client(connect):
    async with connect() as client:
        yield client


async def send(client, *events):
    for event in events:
        await client.write_event(event if isinstance(event, Event) else event.event())


def chunk(seconds=1.0, **audio_format):
    audio_format = FORMAT | audio_format
    frames = round(seconds * audio_format["rate"])
    return AudioChunk(audio=bytes(frames * audio_format["width"] * audio_format["channels"]), **audio_format)


async def send_recording(client, seconds=1.0):
    await send(client, Transcribe(language="en"), AudioStart(**FORMAT), chunk(seconds), AudioStop())


async def receive(client, kind):
    return kind.from_event(await client.read_event())


async def receive_all(client):
    """The types of all events until the connection ends, and the text of the first."""
    events = []
    while (event := await client.read_event()) is not None:
        events.append(event)
    return [event.type for event in events], events[0].data.get("text", "")


async def receive_speech(client):
    """The samples until `audio-stop`."""
    assert await receive(client, AudioStart) == AudioStart(rate=22_050, width=2, channels=1)
    samples = b""
    while not AudioStop.is_type((event := await client.read_event()).type):
        samples += AudioChunk.from_event(event).audio
    return np.frombuffer(samples, "<i2") / 32767


# What it offers


async def test_it_transcribes_speaks_and_answers_in_english(client):
    await send(client, Describe())
    info = await receive(client, Info)
    (asr,), (tts,), (handle,) = info.asr, info.tts, info.handle
    assert asr.models[0].languages == tts.voices[0].languages == handle.models[0].languages == ["en"]
    assert asr.installed and tts.installed and handle.installed and tts.supports_synthesize_streaming


@pytest.mark.parametrize("recogniser", RECOGNISERS.values(), ids=RECOGNISERS)
async def test_it_names_the_recogniser_of_the_server(client, fake, recogniser):
    fake.steps = [step.name for step in recogniser.steps]
    await send(client, Describe())
    assert (await receive(client, Info)).asr[0].description.lower() == recogniser.name


@pytest.mark.parametrize("is_frozen", [False, True])
async def test_a_server_that_does_not_answer_has_a_description(client, fake, is_frozen):
    async def refuse():
        if is_frozen:
            await asyncio.Event().wait()
        raise ServerUnreachable("gone")

    fake.read_counters = refuse
    await send(client, Describe())
    assert (await receive(client, Info)).asr[0].description == "unknown"


async def test_home_assistant_can_find_it():
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

    found = asyncio.Queue()
    with socket.create_server(("localhost", 0)) as listening:  # by name; what is announced is an address
        async with AsyncZeroconf(["127.0.0.1"]) as zeroconf, announce_port(listening):
            browser = AsyncServiceBrowser(
                zeroconf.zeroconf, wyoming_server.SERVICE_TYPE, [lambda **event: found.put_nowait(event["name"])]
            )
            info = await zeroconf.async_get_service_info(wyoming_server.SERVICE_TYPE, await found.get())
            assert (info.parsed_addresses()[0], info.port) == listening.getsockname()
            await browser.async_cancel()


# Recordings


async def test_recordings_are_transcribed_one_after_the_other(client):
    for seconds in (1.5, 30.0):
        await send_recording(client, seconds)
        assert (await receive(client, Transcript)).text == f"{seconds:.2f} s"


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (96_000, 1)])
async def test_pcm_of_any_format_becomes_mono_at_16_khz(client, fake, width, rate, channels):
    def wave(rate):
        return 0.5 * np.sin(2 * np.pi * 300 * np.arange(rate) / rate)

    scaled = np.repeat((wave(rate) * 2 ** (8 * width - 1)).astype(np.int64), channels) + (128 if width == 1 else 0)
    data = scaled.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    audio_format = {"rate": rate, "width": width, "channels": channels}
    for start in range(0, len(data), 10_001):  # cuts frames in two
        await send(client, AudioChunk(audio=data[start : start + 10_001], **audio_format))
    await send(client, AudioStop())
    assert (await receive(client, Transcript)).text == "1.00 s"
    ((_, heard),) = fake.asked
    np.testing.assert_allclose(heard[800:-800], wave(16_000)[800:-800], atol=0.01)


# Speech


async def test_a_text_is_spoken_while_it_is_synthesised(client, fake):
    fake.stream_gate = asyncio.Event()
    await send(client, Synthesize(text="Hello"))
    assert (await client.read_event()).type == "audio-start"
    assert (await client.read_event()).type == "audio-chunk"
    fake.stream_gate.set()
    while (event := await client.read_event()).type == "audio-chunk":
        pass
    assert event.type == "audio-stop"


async def test_a_streamed_text_is_spoken_sentence_by_sentence_and_its_repetition_ignored(client, fake):
    await send(client, SynthesizeStart())
    await send(client, *(SynthesizeChunk(text=text) for text in ("Hello ", "there. How", " are you")))
    assert (await client.read_event()).type == "audio-start"  # before the text has ended
    await send(client, Synthesize(text="Hello there. How are you"), SynthesizeStop(), Ping())
    events = []
    while (event := await client.read_event()).type != "pong":
        events.append(event)
    assert {event.type for event in events[:-2]} == {"audio-chunk"}
    assert [event.type for event in events[-2:]] == ["audio-stop", "synthesize-stopped"]
    samples = np.frombuffer(b"".join(event.payload for event in events if event.payload), "<i2") / 32767
    pause = np.zeros(round(0.4 * 22_050))
    np.testing.assert_allclose(samples, np.concatenate([ANSWER.answer_audio, pause, ANSWER.answer_audio]), atol=1e-4)
    assert fake.asked == [("speak_stream", "Hello there. "), ("speak_stream", "How are you")]


async def test_a_part_without_words_is_left_out(client, fake):
    async def refuse_smileys(text, **options):
        if text == ":-)":
            raise InvalidInput("the text has no word")
        yield CHUNKS[0]

    fake.speak_stream = refuse_smileys
    await send(client, SynthesizeStart(), SynthesizeChunk(text="Well done! :-)"), SynthesizeStop())
    assert len(await receive_speech(client)) == len(CHUNKS[0].answer_audio)


# Answers


async def test_a_question_is_answered_from_the_file_as_it_is_now(client, fake, context_file):
    for context in ("The house is blue.", "The house is green."):
        context_file.write_text(context)
        await send(client, Transcript(text="what colour is it"))
        assert await receive(client, Handled) == Handled(text=ANSWER.answer)
        assert fake.asked[-1][1].inputs["context"][0, 0].decode() == context
        os.utime(context_file, ns=(0, 0))  # another time, whatever the clock's resolution


async def test_a_question_without_an_answer_is_not_handled(client, fake):
    async def find_nothing(request):
        return replace(ANSWER, answer="", sentence="Sorry, no.")

    fake.answer = find_nothing
    await send(client, Transcript(text="who is it"))
    assert (await receive(client, NotHandled)).text == "Sorry, no."


async def test_a_file_that_cannot_be_read_is_an_error_that_does_not_show_its_path(client, context_file):
    context_file.unlink()
    await send(client, Transcript(text="who is it"))
    kinds, message = await receive_all(client)
    assert kinds == ["error", "not-handled"] and str(context_file) not in message


@pytest.mark.parametrize(("content", "message"), [(b"a" * (MAX_CONTEXT_BYTES + 1), "got 32,769"), (b"\xff", "UTF-8")])
def test_a_text_to_answer_from_is_refused_at_the_start(tmp_path, content, message):
    (tmp_path / "context.txt").write_bytes(content)
    with pytest.raises(InvalidArgument, match=message):
        ContextFile(tmp_path / "context.txt")


# Errors


NO_AUDIO = [AudioStart(**FORMAT), AudioStop()]
BAD_REQUESTS = {
    "no audio": (NO_AUDIO, "transcript", "expected audio before audio-stop"),
    "31 s": ([chunk(30.0), chunk(1.0)], "transcript", "expected at most 30 s"),
    "1 MHz": ([chunk(0.01, rate=1_000_000)], "transcript", "rate: expected 8000 to 192000, got 1000000"),
    "64 bits": ([chunk(width=8)], "transcript", "width: expected 1 to 4, got 8"),
    "a rate in words": ([Event("audio-chunk", FORMAT | {"rate": "fast"})], "transcript", "got 'fast'"),
    "no format": ([Event("audio-chunk", {}, b"12")], "transcript", "rate: expected"),
    "another format": ([chunk(), chunk(rate=8_000)], "transcript", "the format of the chunk before"),
    "a number to speak": ([Event("synthesize", {"text": 5})], "audio-stop", "text: expected text, got int"),
    "half a character": ([Event("synthesize", {"text": "\ud800"})], "audio-stop", "expected Unicode"),
    "no text to speak": ([Event("synthesize")], "audio-stop", "text: expected text, got NoneType"),
    "nothing streamed": ([SynthesizeStart(), SynthesizeStop()], "synthesize-stopped", "expected a word before it"),
    "no start": ([SynthesizeChunk(text="Hi.")], "synthesize-stopped", "expected synthesize-start before it"),
    "no question": ([Event("transcript")], "not-handled", "text: expected text"),
}


@pytest.mark.parametrize(("events", "end", "message"), BAD_REQUESTS.values(), ids=BAD_REQUESTS)
async def test_after_an_error_comes_what_the_client_waits_for_and_the_end(client, events, end, message):
    for event in events:
        event = event if isinstance(event, Event) else event.event()
        data = json.dumps(event.data).encode()  # unlike the package's own, it can write half a character
        header = {"type": event.type, "data_length": len(data), "payload_length": len(event.payload or b"")}
        client._writer.write(json.dumps(header).encode() + b"\n" + data + (event.payload or b""))
    kinds, text = await receive_all(client)
    assert kinds[0] == "error" and kinds[-1] == end and message in text


@pytest.mark.parametrize("event", [chunk(), Synthesize(text="."), SynthesizeStart(), Transcript(text="who")])
async def test_an_error_of_the_server_ends_the_connection_likewise(client, fake, event):
    fake.error = InvalidInput("no word")
    await send(client, event, AudioStop() if isinstance(event, AudioChunk) else SynthesizeChunk(text=":-)! "))
    await send(client, SynthesizeStop())
    kinds, text = await receive_all(client)
    assert kinds[0] == "error" and text == "no word" and kinds[-1] in {
        "transcript", "audio-stop", "synthesize-stopped", "not-handled"
    }  # fmt: skip


async def test_speech_that_breaks_off_ends_with_an_error(client, fake):
    fake.stream_error, fake.streamed = Overloaded("busy"), CHUNKS[:1]
    await send(client, Synthesize(text="Hello"))
    kinds, _ = await receive_all(client)
    assert kinds == ["audio-start", "audio-chunk", "audio-chunk", "error", "audio-stop"]


async def test_requests_are_counted_by_outcome(fake, limit):
    metrics = Metrics(limit)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        async with listen(listening, fake, limit.measured_by(partial(metrics.measure, "wyoming"))):
            for error in (None, ServerUnreachable("gone"), ZeroDivisionError()):
                fake.error = error
                async with AsyncTcpClient(*listening.getsockname()) as client:
                    await send_recording(client)
                    await client.read_event()
            async with AsyncTcpClient(*listening.getsockname()) as client:
                await send(client, chunk(), Ping())
                await client.read_event()
            while limit.active:  # until a test's time limit
                await asyncio.sleep(0.01)
    counted = generate_latest(metrics.registry).decode()
    for outcome, count in (("ok", 1), ("failed", 2), ("left", 1)):
        assert f'seconds_count{{interface="wyoming",outcome="{outcome}"}} {count}.0' in counted
    assert limit.active == 0


async def test_a_fault_of_ours_is_an_error_too(client, fake, caplog):
    fake.error = ZeroDivisionError()
    await send_recording(client)
    kinds, text = await receive_all(client)
    assert kinds == ["error", "transcript"] and "says why" in text and "ZeroDivisionError" in caplog.text


BAD_BYTES = {
    "no JSON": (b"hello\n", "JSON, got b'hello"),
    "a list": (b"[]\n", "a JSON object, got b'[]"),
    "no type": (b'{"data": {}}\n', "a text as type"),
    "a number as type": (b'{"type": 5}\n', "a text as type"),
    "a text as data": (b'{"type": "describe", "data": "all"}\n', "an object as data"),
    "gigabytes": (b'{"type": "audio-chunk", "payload_length": 9000000000}\n', "got 9000000000"),
    "less than nothing": (b'{"type": "audio-chunk", "data_length": -1}\n', "got -1"),
    "half a byte": (b'{"type": "audio-chunk", "payload_length": 0.5}\n', "got 0.5"),
    "deep": (b"[" * 60_000 + b"\n", "JSON, got b'[["),
    "a long line": (b" " * 100_000 + b"\n", "at most 64 KiB, got more"),
    "half an event": (b'{"type": "audio-chunk", "payload_length": 9}\n1234', "its rest within 0.01 s"),
    "half a header": (b'{"type": ', "its rest within 0.01 s"),
}


@pytest.mark.parametrize(("data", "message"), BAD_BYTES.values(), ids=BAD_BYTES)
async def test_bytes_that_are_no_event_end_the_connection_with_a_sentence(client, connect, data, message, monkeypatch):
    monkeypatch.setattr(wyoming_events, "STALLED_SECONDS", 0.01)
    client._writer.write(data)
    kinds, text = await receive_all(client)
    assert kinds == ["error"] and message in text
    async with connect() as other:
        await send_recording(other)
        assert (await receive(other, Transcript)).text == "1.00 s"


async def test_events_of_unknown_types_are_ignored(client):
    await send(client, Event("dance"), Event("select-program", {"name": "convai"}), Ping(text="there?"))
    assert (await client.read_event()).data == {"text": "there?"}


# Limits


async def test_a_silent_connection_ends(client, monkeypatch):
    monkeypatch.setattr(wyoming_events, "SILENT_SECONDS", 0.01)
    await send(client, chunk())
    assert await receive_all(client) == (
        ["error", "transcript"],
        "connection: expected an event within 0.01 s, got none",
    )


async def test_a_recording_ends_though_events_keep_coming(client, monkeypatch):
    monkeypatch.setattr(wyoming_recording, "LONGEST_WAIT_SECONDS", 0)
    await send(client, chunk(), Ping())
    kinds, text = await receive_all(client)
    assert kinds == ["error", "transcript"] and "expected its end within 0 s" in text


async def test_a_text_that_comes_in_parts_ends_though_pings_keep_coming(client, monkeypatch):
    monkeypatch.setattr(wyoming_handler, "SILENT_SECONDS", 0)
    await send(client, SynthesizeStart(), Ping())
    assert (await client.read_event()).type == "pong"  # nothing is spoken yet, so no slot is held
    await send(client, SynthesizeChunk(text="Hello. Again"), Ping())
    kinds, _ = await receive_all(client)
    assert kinds[0] == "audio-start" and kinds[-3:] == ["error", "audio-stop", "synthesize-stopped"]


async def test_a_recording_takes_a_slot_from_its_first_chunk_to_its_end(connect, limit):
    @asynccontextmanager
    async def record():
        async with connect() as client:
            await send(client, Transcribe(), chunk(), Ping())
            yield client, (await client.read_event()).type

    async with record() as (first, reply), record() as (_, other_reply):
        assert (reply, other_reply, limit.active) == ("pong", "pong", 2)
        async with record() as (_, refusal):  # half of the slots are left to those who need a key
            assert refusal == "error"
        await send(first, AudioStop())
        assert (await receive(first, Transcript)).text == "1.00 s"
        async with record() as (_, reply):
            assert reply == "pong"
    await asyncio.sleep(0)


async def test_a_client_that_does_not_read_gives_its_slot_back(client, fake, limit, monkeypatch):
    fake.streamed = 2000 * CHUNKS[:1]  # more than the sockets hold
    monkeypatch.setattr(wyoming_events, "UNREAD_SECONDS", 0.05)
    await send(client, Synthesize(text="Hello"))
    await client.read_event()
    while limit.active or not fake.closed_streams:  # until a test's time limit
        await asyncio.sleep(0.01)


async def test_connections_are_bounded(client, connect, monkeypatch):
    monkeypatch.setattr(wyoming_server, "MAX_CONNECTIONS", 1)
    await send(client, Ping())
    await client.read_event()
    async with connect() as other:
        assert await receive_all(other) == (
            ["error"],
            "1 connections are open, which is the limit; try again in a moment",
        )
