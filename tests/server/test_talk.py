"""`convai talk` before a real server, spoken to by the clients that others use."""

import asyncio
import io
import json
import random
import signal
import socket
import time
from pathlib import Path

import httpx2
import numpy as np
import openai
import pytest
import soundfile
from support.places import EXAMPLES
from support.talk_process import TalkProcess
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize

from convai.__main__ import main
from convai.client import Answered, Answering, AsyncConvaiClient, Caption

QUESTION = (EXAMPLES / "question.wav").read_bytes()
HEARD, ANSWER = "what is he often called", "England's national poet"
WYOMING_FORMAT = {"rate": 16_000, "width": 2, "channels": 1}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def wyoming_port():
    return free_port()


@pytest.fixture(scope="module")
def talk(server, wyoming_port):
    with TalkProcess(f"--server={server.grpc_address}", f"--wyoming-port={wyoming_port}") as talk:
        yield talk


@pytest.fixture(scope="module")
def http(talk):
    with httpx2.Client(base_url=talk.url, timeout=60) as http:
        yield http


@pytest.fixture(scope="module")
def openai_client(talk):
    return openai.OpenAI(base_url=f"{talk.url}/v1", api_key="any", max_retries=0)


def test_openais_client_gets_a_transcript(openai_client):
    def heard(**options):
        return openai_client.audio.transcriptions.create(model="whisper-1", file=("q.wav", QUESTION), **options)

    assert heard().text == HEARD
    assert heard(response_format="text") == HEARD + "\n"
    in_full = heard(response_format="verbose_json", language="en", temperature=0)
    assert (in_full.text, in_full.language, float(in_full.duration)) == (HEARD, "english", 1.84)
    assert in_full.segments[0].text == HEARD


@pytest.mark.parametrize("form", ["wav", "flac", "mp3", "opus", "pcm"])
def test_openais_client_gets_speech(openai_client, client, form):
    spoken = openai_client.audio.speech.create(model="tts-1", voice="alloy", input="Hello there.", response_format=form)
    expected = client.speak("Hello there.")
    if form == "pcm":  # streamed
        (expected,) = client.speak_stream("Hello there.")
        audio, rate = np.frombuffer(spoken.content, "<i2") / 32768, 24_000
    else:
        audio, rate = soundfile.read(io.BytesIO(spoken.content))
    assert len(audio) / rate == pytest.approx(len(expected.answer_audio) / expected.sample_rate, abs=0.12)
    assert np.std(audio) == pytest.approx(np.std(expected.answer_audio), rel=0.1)
    if form in ("wav", "flac"):
        np.testing.assert_allclose(audio, expected.answer_audio, atol=1e-3)


def test_openais_client_gets_raw_samples_as_they_are_spoken_and_a_text_of_any_length_as_a_file(openai_client, client):
    """The text is too long to be spoken whole."""
    text = "The rainforest covers most of the basin, and nine countries share it. Who has counted its trees? " * 9
    expected = sum(chunk.seconds for chunk in client.speak_stream(text))

    def speech(form):
        return openai_client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=text, response_format=form
        )

    with speech("pcm") as response:
        pieces = [len(piece) for piece in response.iter_bytes()]
    assert len(pieces) > 1 and sum(pieces) / (2 * 24_000) == pytest.approx(expected, abs=0.05)
    with speech("wav") as response:
        audio, rate = soundfile.read(io.BytesIO(response.read()))
    assert len(audio) / rate == pytest.approx(expected, abs=0.05)


def test_openais_client_raises_its_own_errors(openai_client):
    with pytest.raises(openai.BadRequestError, match="file is not audio"):
        openai_client.audio.transcriptions.create(model="whisper-1", file=("q.wav", b"no audio"))
    with pytest.raises(openai.BadRequestError, match="response_format"):
        openai_client.audio.speech.create(model="tts-1", voice="alloy", input="Hello", response_format="aac")


def test_asking_over_http_gives_what_grpc_gives(http, client, example_question, example_context):
    files = {"audio": QUESTION, "context": (EXAMPLES / "context.txt").read_bytes()}
    asked = http.post("/v1/ask", files=files).json()
    audio, rate = example_question
    expected = client.ask(audio, sample_rate=rate, context=example_context)
    assert (asked["question"], asked["answer"]) == (expected.question, expected.answer) == (HEARD, ANSWER)
    assert asked["answer_span"] == list(expected.answer_span)
    assert asked["answer_score"] == pytest.approx(expected.answer_score)


async def test_home_assistants_protocol_hears_and_speaks(talk, wyoming_port, client):
    async with AsyncTcpClient("127.0.0.1", wyoming_port) as wyoming:
        await wyoming.write_event(Describe().event())
        info = Info.from_event(await wyoming.read_event())
        assert info.asr and info.tts

        samples, rate = soundfile.read(io.BytesIO(QUESTION), dtype="int16")
        assert rate == WYOMING_FORMAT["rate"]
        await wyoming.write_event(Transcribe(language="en").event())
        await wyoming.write_event(AudioStart(**WYOMING_FORMAT).event())
        for start in range(0, len(samples), 1024):
            part = samples[start : start + 1024].tobytes()
            await wyoming.write_event(AudioChunk(audio=part, **WYOMING_FORMAT).event())
        await wyoming.write_event(AudioStop().event())
        assert Transcript.from_event(await wyoming.read_event()).text == HEARD

        await wyoming.write_event(Synthesize(text="Hello there.").event())
        start = AudioStart.from_event(await wyoming.read_event())
        spoken = b""
        while not AudioStop.is_type((event := await wyoming.read_event()).type):
            spoken += AudioChunk.from_event(event).audio
        expected = client.speak("Hello there.")
        assert start.rate == expected.sample_rate
        np.testing.assert_allclose(np.frombuffer(spoken, "<i2") / 32767, expected.answer_audio, atol=1e-3)


async def test_captions_come_while_one_speaks_and_the_last_is_the_question_as_answered(
    server, example_question, example_context
):
    audio, rate = example_question
    events, told = [], asyncio.Event()

    async def half_by_half():
        for part in (audio[: len(audio) // 2], np.concatenate([audio[len(audio) // 2 :], np.zeros(rate, np.float32)])):
            told.clear()
            yield part
            await told.wait()

    async with AsyncConvaiClient(server.grpc_address) as client:
        async for event in client.listen(
            half_by_half(), sample_rate=rate, context=example_context, pause_seconds=None, caption_seconds=1e-6
        ):
            events.append(event)
            if isinstance(event, Caption):
                told.set()
    captions = [event.text for event in events if isinstance(event, Caption)]
    (answered,) = [event for event in events if isinstance(event, Answered)]
    assert captions[-1] == answered.answer.question != captions[0]


async def test_a_streamed_answer_to_somebody_who_spoke_is_the_one_that_a_stream_gives(server, client, example_question):
    text = "Louis Armstrong is often called the great ambassador of American music to the countries of the old world."
    audio, rate = example_question

    async def microphone():
        yield audio

    async with AsyncConvaiClient(server.grpc_address) as asynchronous:
        events = asynchronous.listen(microphone(), sample_rate=rate, context=text, caption_seconds=0, stream=True)
        told = [event async for event in events]
    chunks = [event.chunk for event in told if isinstance(event, Answering)]
    asked = told[1].question_audio
    expected = list(client.ask_stream(asked, sample_rate=rate, context=text))
    assert [chunk.is_last for chunk in chunks] == [chunk.is_last for chunk in expected]
    assert len(chunks) > 1 and chunks[-1].is_last
    assert (chunks[0].question, chunks[0].answer) == (expected[0].question, expected[0].answer)


# 200 malformed requests


def malformed_requests():
    """Requests with something wrong in each, as (method, path, keyword arguments of httpx2)."""
    rng = random.Random(0)
    noise = rng.randbytes(2000)
    short = io.BytesIO()
    soundfile.write(short, np.zeros(100), 16_000, format="WAV")
    json_type = {"content-type": "application/json"}
    form_type = {"content-type": "multipart/form-data; boundary=x"}
    for number in range(20):
        cut = QUESTION[: rng.randrange(1, 44)]
        yield "POST", "/v1/audio/transcriptions", {"files": {"file": cut}}
        yield "POST", "/v1/audio/transcriptions", {"files": {"file": noise[: rng.randrange(2000)]}}
        yield "POST", "/v1/audio/transcriptions", {"content": noise[:number], "headers": form_type}
        yield (
            "POST",
            "/v1/audio/transcriptions",
            {"files": {"file": QUESTION}, "data": {"response_format": str(number)}},
        )
        yield "POST", "/v1/audio/speech", {"content": noise[: number + 1], "headers": json_type}
        yield "POST", "/v1/audio/speech", {"json": {"input": [number], "voice": None}}
        yield "POST", "/v1/ask", {"files": {"audio": short.getvalue()}, "data": {"context": "A text."}}
        yield "POST", "/v1/ask", {"files": {"audio": QUESTION, "context": b"\xff" * (number + 1)}}
        yield rng.choice(["GET", "PUT", "DELETE", "PATCH"]), "/v1/ask", {}
        yield "GET", f"/{rng.randbytes(8).hex()}", {}
    yield "POST", "/v1/ask", {"files": {"audio": QUESTION}, "data": {"context": ""}}
    yield "POST", "/v1/ask", {"files": {"audio": QUESTION}, "data": {"context": "a" * 40_000}}
    yield "POST", "/v1/ask", {"files": {"audio": QUESTION}, "data": {"context": "A text.", "seed": "-1"}}
    yield "POST", "/v1/audio/speech", {"json": {"input": ""}}
    yield "POST", "/v1/audio/speech", {"json": {"input": "a" * 100_000}}
    yield "POST", "/v1/audio/speech", {"content": json.dumps({"input": "\ud800"}), "headers": json_type}
    yield "POST", "/v1/audio/speech", {"content": b"[" * 100_000, "headers": json_type}
    yield "POST", "/v1/audio/transcriptions", {"content": bytes(26 * 1024 * 1024), "headers": form_type}


def test_malformed_requests_are_the_callers_mistakes_and_leave_nothing_behind(http, talk):
    requests = list(malformed_requests())
    assert len(requests) >= 200
    for method, path, options in [*requests[:20], *requests[-10:]]:  # what the first of each kind needs stays
        http.request(method, path, **options)
    before = talk.resident_bytes
    for method, path, options in requests:
        response = http.request(method, path, **options)
        assert 400 <= response.status_code < 500, (method, path, response.status_code, response.text)
        assert len(response.json()["error"]["message"].split()) >= 3, response.text
    assert talk.resident_bytes - before < 8 * 1024 * 1024
    assert http.post("/v1/audio/transcriptions", files={"file": QUESTION}).json() == {"text": HEARD}


@pytest.mark.parametrize("sent", [b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"POST /v1/ask HTTP/1.1\r\nHost: \xff\r\n\r\n"])
def test_what_is_no_http_is_refused(talk, sent):
    host, port = talk.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(sent)
        assert connection.recv(1000).startswith(b"HTTP/1.1 4")


# Starting and stopping


def test_it_starts_the_server_itself_and_takes_it_along(model_repository):
    with TalkProcess(f"--model-repository={model_repository}") as talk:
        answered = httpx2.post(f"{talk.url}/v1/audio/transcriptions", files={"file": QUESTION}, timeout=60)
        assert answered.json() == {"text": HEARD}
        (triton,) = [
            int(line.split()[0]) for line in children_of(talk.process.pid) if "tritonserver" in line.split()[1]
        ]
    assert talk.lines[-1] == "stopped\n"
    assert not is_running(triton)


def children_of(pid):
    """Lines of process id and program."""
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in task.read_text().split():
            yield f"{child} {Path(f'/proc/{child}/comm').read_text()}"


def is_running(pid):
    return Path(f"/proc/{pid}").exists()


def test_a_page_that_listens_does_not_keep_it_from_stopping(server):
    from websockets.sync.client import connect

    with TalkProcess(f"--server={server.grpc_address}") as talk:
        with connect(talk.url.replace("http", "ws") + "/v1/listen", open_timeout=30) as socket:
            socket.send(json.dumps({"sample_rate": 16_000, "context": "A text."}))
            socket.send(bytes(3200))
            began = time.monotonic()
            talk.process.send_signal(signal.SIGTERM)
            talk.process.wait(20)
    assert time.monotonic() - began < 15


def test_an_address_for_everyone_is_warned_of():
    with TalkProcess("--server=127.0.0.1:1", "--host=0.0.0.0") as talk:
        assert "everyone who reaches 0.0.0.0 may use this server" in "".join(talk.lines)


def test_a_server_that_is_no_address_is_told_at_once(capsys):
    assert main(["talk", "--port=0", "--server=nonsense"]) == 1
    assert "address: expected host:port, like '127.0.0.1:8001', got 'nonsense'" in capsys.readouterr().err


def test_a_port_in_use_is_told_at_once(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["talk", "--port", str(taken.getsockname()[1]), "--server=127.0.0.1:1"]) == 1
    assert "give another --host or --port" in capsys.readouterr().err
