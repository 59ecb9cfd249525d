"""`convai talk` in front of a real server, called by the clients that others use."""

import asyncio
import io
import json
import random
import signal
import socket
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
from wyoming.handle import Handled
from wyoming.info import Describe, Info
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop

from convai.__main__ import main
from convai.client import Answered, AsyncConvaiClient, Caption
from convai.client.audio_decoding import read_audio

QUESTION = (EXAMPLES / "question.wav").read_bytes()
TRANSCRIPT, ANSWER = "what is he often called", "England's national poet"


@pytest.fixture(scope="module")
def talk(server):
    options = (f"--server={server.grpc_address}", "--wyoming-port=0", f"--context={EXAMPLES}/context.txt")
    with TalkProcess(*options) as talk:
        yield talk


@pytest.fixture(scope="module")
def http(talk):
    with httpx2.Client(base_url=talk.url, timeout=60) as http:
        yield http


@pytest.fixture(scope="module")
def openai_client(talk):
    return openai.OpenAI(base_url=f"{talk.url}/v1", api_key="any", max_retries=0)


def test_openais_client_gets_a_transcript(openai_client):
    def transcribe(**options):
        return openai_client.audio.transcriptions.create(model="whisper-1", file=("q.wav", QUESTION), **options)

    assert transcribe().text == TRANSCRIPT
    assert transcribe(response_format="text") == TRANSCRIPT + "\n"
    in_full = transcribe(response_format="verbose_json", language="en", temperature=0)
    assert (in_full.text, in_full.language, float(in_full.duration)) == (TRANSCRIPT, "english", 1.84)
    assert in_full.segments[0].text == TRANSCRIPT
    assert transcribe(prompt="a text about names").text == TRANSCRIPT


def test_a_recording_beyond_30_s_is_transcribed_in_segments_with_their_times(openai_client):
    samples, rate = soundfile.read(io.BytesIO(QUESTION), dtype="int16")
    file = io.BytesIO()
    soundfile.write(file, np.tile(np.concatenate([samples, np.zeros(2 * rate, np.int16)]), 10), rate, format="FLAC")
    found = openai_client.audio.transcriptions.create(
        model="whisper-1", file=("long.flac", file.getvalue()), response_format="verbose_json"
    )
    assert found.text == " ".join([TRANSCRIPT] * 10)
    period = len(samples) / rate + 2
    starts = [segment.start - number * period for number, segment in enumerate(found.segments)]
    assert starts == pytest.approx([starts[0]] * 10, abs=0.1)


@pytest.mark.parametrize(
    ("form", "speed"), [("wav", 2.0), ("flac", 0.5), ("mp3", 1.0), ("opus", 1.0), ("aac", 1.0), ("pcm", 1.0)]
)
def test_openais_client_gets_speech(openai_client, client, form, speed):
    response = openai_client.audio.speech.create(
        model="tts-1", voice="alloy", input="Hello there.", response_format=form, speed=speed
    )
    (expected,) = client.speak_stream("Hello there.", speed=speed)
    if form == "pcm":
        audio, rate = np.frombuffer(response.content, "<i2") / 32768, 24_000
    else:
        audio, rate = read_audio(response.content)
    assert len(audio) / rate == pytest.approx(expected.seconds, abs=0.12)
    assert np.std(audio) == pytest.approx(np.std(expected.answer_audio), rel=0.1)
    if form in ("wav", "flac"):
        np.testing.assert_allclose(audio, expected.answer_audio, atol=1e-3)


def test_openais_client_gets_long_speech_as_a_stream_and_as_a_file(openai_client, client):
    """The text is too long for one call of the server."""
    text = "The rainforest covers most of the basin, and nine countries share it. Who has counted its trees? " * 9
    expected = sum(chunk.seconds for chunk in client.speak_stream(text))

    def speech(form):
        return openai_client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=text, response_format=form
        )

    with speech("pcm") as response:
        pieces = [len(piece) for piece in response.iter_bytes()]
    assert len(pieces) > 1 and sum(pieces) / (2 * 24_000) == pytest.approx(expected, abs=0.05)
    with speech("mp3") as response:
        audio, rate = read_audio(response.read())
    assert len(audio) / rate == pytest.approx(expected, abs=0.12)


def test_openais_client_raises_its_own_errors(openai_client):
    with pytest.raises(openai.BadRequestError, match="file: expected audio"):
        openai_client.audio.transcriptions.create(model="whisper-1", file=("q.wav", b"no audio"))
    with pytest.raises(openai.BadRequestError, match="response_format"):
        openai_client.audio.speech.create(model="tts-1", voice="alloy", input="Hello", response_format="wma")


def test_ask_returns_over_http_what_grpc_returns(http, client, example_question, example_context):
    files = {"audio": QUESTION, "context": (EXAMPLES / "context.txt").read_bytes()}
    asked = http.post("/v1/ask", files=files).json()
    audio, rate = example_question
    expected = client.ask(audio, sample_rate=rate, context=example_context)
    assert (asked["question"], asked["answer"]) == (expected.question, expected.answer) == (TRANSCRIPT, ANSWER)
    assert asked["answer_span"] == list(expected.answer_span)
    assert asked["answer_score"] == pytest.approx(expected.answer_score)
    typed = http.post("/v1/ask", data={"question": TRANSCRIPT, "context": example_context}).json()
    assert (typed["answer"], typed["answer_audio"]) == (ANSWER, asked["answer_audio"])


async def test_home_assistants_protocol_transcribes_answers_and_speaks(talk, client):
    async with AsyncTcpClient("127.0.0.1", talk.wyoming_port) as wyoming:
        await wyoming.write_event(Describe().event())
        info = Info.from_event(await wyoming.read_event())
        assert info.asr[0].description == "Jasper"

        samples, rate = soundfile.read(io.BytesIO(QUESTION), dtype="int16")
        audio_format = {"rate": rate, "width": 2, "channels": 1}
        await wyoming.write_event(Transcribe(language="en").event())
        await wyoming.write_event(AudioStart(**audio_format).event())
        await wyoming.write_event(AudioChunk(audio=samples.tobytes(), **audio_format).event())
        await wyoming.write_event(AudioStop().event())
        transcript = Transcript.from_event(await wyoming.read_event())
        assert transcript.text == TRANSCRIPT

        await wyoming.write_event(transcript.event())
        assert Handled.from_event(await wyoming.read_event()).text == ANSWER

        await wyoming.write_event(SynthesizeStart().event())
        await wyoming.write_event(SynthesizeChunk(text="Hello there.").event())
        await wyoming.write_event(SynthesizeStop().event())
        start = AudioStart.from_event(await wyoming.read_event())
        samples = b""
        while not AudioStop.is_type((event := await wyoming.read_event()).type):
            samples += AudioChunk.from_event(event).audio
        (expected,) = client.speak_stream("Hello there.")
        assert start.rate == expected.sample_rate
        np.testing.assert_allclose(np.frombuffer(samples, "<i2") / 32767, expected.answer_audio, atol=1e-3)


async def test_captions_come_during_speech_and_the_last_is_the_final_transcript(
    server, example_question, example_context
):
    audio, rate = example_question
    captions, answers, has_caption = [], [], asyncio.Event()

    async def half_by_half():
        yield audio[: len(audio) // 2]
        await has_caption.wait()
        has_caption.clear()
        yield audio[len(audio) // 2 :]
        while not has_caption.is_set():  # a caption starts only when samples arrive
            yield np.zeros(rate // 10, np.float32)
            await asyncio.sleep(0.1)

    async with AsyncConvaiClient(server.grpc_address) as client:
        async for event in client.listen(
            half_by_half(), sample_rate=rate, context=example_context, pause_seconds=None, caption_seconds=1e-6
        ):
            if isinstance(event, Caption):
                captions.append(event.text)
                has_caption.set()
            elif isinstance(event, Answered):
                answers.append(event.answer.question)
    assert answers == captions[-1:] != captions[:1]


def malformed_requests(rng):
    """One request of each kind, as (method, path, keyword arguments of httpx2)."""
    transcriptions, speech, ask = "/v1/audio/transcriptions", "/v1/audio/speech", "/v1/ask"
    noise = rng.randbytes(rng.randrange(1, 2000))
    short = io.BytesIO()
    soundfile.write(short, np.zeros(100), 16_000, format="WAV")
    json_type = {"content-type": "application/json"}
    form_type = {"content-type": "multipart/form-data; boundary=x"}
    yield "POST", transcriptions, {"files": {"file": QUESTION[: rng.randrange(1, 44)]}}
    yield "POST", transcriptions, {"files": {"file": noise}}
    yield "POST", transcriptions, {"content": noise, "headers": form_type}
    yield "POST", transcriptions, {"content": bytes(26 * 1024 * 1024), "headers": form_type}
    for content in (noise, json.dumps({"input": "\ud800"}), b"[" * 100_000, b'{"input": ""}'):
        yield "POST", speech, {"content": content, "headers": json_type}
    yield "POST", ask, {"files": {"audio": short.getvalue()}, "data": {"context": "A text."}}
    yield "POST", ask, {"files": {"audio": QUESTION, "context": b"\xff" * len(noise)}}
    for data in ({"context": ""}, {"context": "a" * 40_000}, {"context": "A text.", "seed": "-1"}):
        yield "POST", ask, {"files": {"audio": QUESTION}, "data": data}
    yield rng.choice(["GET", "PUT", "DELETE", "PATCH"]), ask, {}
    yield "GET", f"/{rng.randbytes(8).hex()}", {}


def test_malformed_requests_get_a_status_of_the_400s_and_leak_no_memory(http, talk):
    rng = random.Random(0)
    for number in range(12):
        if number == 2:  # the first of each kind allocate what stays
            before = talk.resident_bytes
        for method, path, options in malformed_requests(rng):
            response = http.request(method, path, **options)
            assert 400 <= response.status_code < 500, (method, path, response.status_code, response.text)
            assert len(response.json()["error"]["message"].split()) >= 3, response.text
    assert talk.resident_bytes - before < 8 * 1024 * 1024
    assert http.post("/v1/audio/transcriptions", files={"file": QUESTION}).json()["text"] == TRANSCRIPT


# Starting and stopping


def test_it_starts_the_server_and_stops_it(model_repository):
    with TalkProcess(f"--model-repository={model_repository}") as talk:
        response = httpx2.post(f"{talk.url}/v1/audio/transcriptions", files={"file": QUESTION}, timeout=60)
        assert response.json()["text"] == TRANSCRIPT
        (triton,) = find_children(talk.process.pid, "tritonserver")
    assert talk.lines[-1] == "stopped\n"
    assert not triton.exists()


def find_children(pid, program):
    """The folders of a process's children that run this program, in /proc."""
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in task.read_text().split():
            if program in Path(f"/proc/{child}/comm").read_text():
                yield Path(f"/proc/{child}")


def test_a_page_that_listens_does_not_keep_it_from_stopping(server):
    from websockets.sync.client import connect

    with TalkProcess(f"--server={server.grpc_address}") as talk:
        with connect(talk.url.replace("http", "ws") + "/v1/listen", open_timeout=30) as socket:
            socket.send(json.dumps({"sample_rate": 16_000, "context": "A text."}))
            socket.send(bytes(3200))
            talk.process.send_signal(signal.SIGTERM)
            talk.process.wait(20)


def test_an_invalid_server_address_or_port_ends_it_at_once(capsys):
    assert main(["talk", "--port=0", "--server=nonsense"]) == 1
    assert "host:port" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["talk", "--port", str(taken.getsockname()[1]), "--server=127.0.0.1:1"]) == 1
    assert "give another --host or --port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--context=a.txt"], "--wyoming-port: expected a port"),
        (["--wyoming-port=0", "--zeroconf"], "--zeroconf: expected a --host that others reach"),
        (["--wyoming-port=0", "--context=/nowhere/a.txt"], "cannot read /nowhere/a.txt"),
    ],
)
def test_options_of_wyoming_that_do_not_fit_end_it_at_once(options, message, capsys):
    assert main(["talk", "--port=0", "--server=127.0.0.1:1", *options]) == 1
    assert message in capsys.readouterr().err
