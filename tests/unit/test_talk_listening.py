import asyncio
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from support.fake_client import ANSWER, CHUNKS, FakeClient
from support.places import EXAMPLES

from convai.client import Overloaded
from convai.talk.app import make_app
from convai.talk.mel_picture import mel_picture
from convai.talk.settings import Settings

START = {"sample_rate": 16_000, "context": "A text."}
BINARIES = {"speech_ended": 1, "answered": 2, "chunk": 2}  # messages after these events


def connect(http, **options):
    return http.websocket_connect("ws://127.0.0.1/v1/listen", **options)


@contextmanager
def listening(start=START, fake=None, headers=None, **settings):
    app = make_app(fake or FakeClient(), Settings(**settings))
    with TestClient(app, base_url="http://127.0.0.1") as http, connect(http, headers=headers or {}) as socket:
        if isinstance(start, dict):
            socket.send_json(start)
        elif start is not None:
            socket.send_text(start)
        yield socket


def say_question(socket):
    audio, _ = soundfile.read(EXAMPLES / "question.wav", dtype="int16")
    for start in range(0, len(audio), 4000):
        socket.send_bytes(audio[start : start + 4000].tobytes())
    socket.send_json({"end": True})


def events_until(socket, last):
    events = [socket.receive_json()]
    while events[-1]["type"] != last:
        for _ in range(BINARIES.get(events[-1]["type"], 0)):
            socket.receive_bytes()
        events.append(socket.receive_json())
    return events


def receive_failure(socket):
    event = socket.receive_json()
    assert event["type"] == "failed", event
    with pytest.raises(WebSocketDisconnect):
        socket.receive_json()
    return event["message"]


def receive_chunk(socket):
    """Samples and picture."""
    samples = np.frombuffer(socket.receive_bytes(), "<i2") / 32767
    return samples, np.frombuffer(socket.receive_bytes(), np.uint8).reshape(-1, 80)


def test_a_spoken_question_is_answered_chunk_by_chunk():
    with listening() as socket:
        say_question(socket)
        *before, ended = events_until(socket, "speech_ended")
        assert {event["type"] for event in before} <= {"speech_started", "caption"}
        seconds = ended["end_seconds"] - ended["start_seconds"]
        assert len(socket.receive_bytes()) == pytest.approx(2 * seconds * ended["sample_rate"])
        answered = events_until(socket, "answered")[-1]
        assert (answered["answer"], answered["answer_span"], answered["is_last"]) == ("a test", [0, 6], False)
        received = [receive_chunk(socket)]
        for is_last in (False, True):
            assert socket.receive_json() == {"type": "chunk", "is_last": is_last}
            received.append(receive_chunk(socket))
    for (samples, picture), chunk in zip(received, CHUNKS, strict=True):
        np.testing.assert_allclose(samples, chunk.answer_audio, atol=1e-4)
        assert len(picture) == len(samples) // 256 + 1


def test_questions_are_counted_by_outcome():
    fake = FakeClient()
    app = make_app(fake, Settings())
    with TestClient(app, base_url="http://127.0.0.1") as http:
        for error, last in ((None, "steps_timed"), (Overloaded("full"), "failed")):
            fake.error = error
            with connect(http) as socket:
                socket.send_json(START)
                say_question(socket)
                events_until(socket, last)
        counted = http.get("/metrics").text
    for outcome in ("ok", "refused"):
        assert f'seconds_count{{interface="listen",outcome="{outcome}"}} 1.0' in counted


@pytest.mark.parametrize("start", [{"sample_rate": 16_000}, START | {"context": None}])
def test_without_a_context_the_page_gets_transcripts(start):
    with listening(start) as socket:
        say_question(socket)
        events = events_until(socket, "steps_timed")
    assert {"type": "transcribed", "text": ANSWER.question} in events


def test_a_server_that_does_not_stream_answers_in_one_piece():
    fake = FakeClient(models=())
    with listening(fake=fake) as socket:
        say_question(socket)
        (*_, answered) = events_until(socket, "answered")
        assert answered["is_last"]
        samples, _ = receive_chunk(socket)
        np.testing.assert_allclose(samples, ANSWER.answer_audio, atol=1e-4)
    assert fake.closed_streams == 0


def test_a_tone_is_a_line_in_the_picture():
    tone = np.sin(2 * np.pi * 1000 * np.arange(22_050) / 22_050).astype(np.float32) / 2
    picture = np.frombuffer(mel_picture(tone), np.uint8).reshape(-1, 80)
    loudest = picture[4:-4].argmax(axis=1)
    assert np.ptp(loudest) == 0 and 20 < loudest[0] < 35
    assert mel_picture(np.zeros(2560, np.float32)) == bytes(10 * 80)


def test_an_answer_that_breaks_off_fails_after_its_chunks():
    fake = FakeClient(streamed=CHUNKS[:2], stream_error=Overloaded("the server is busy"))
    with listening(fake=fake) as socket:
        say_question(socket)
        kinds = [event["type"] for event in events_until(socket, "failed")]
        assert kinds[-3:] == ["answered", "chunk", "failed"]


def test_a_page_that_leaves_gets_no_more_of_an_answer():
    fake = FakeClient()
    fake.stream_gate = asyncio.Event()  # the second chunk never comes
    with listening(fake=fake) as socket:
        say_question(socket)
        events_until(socket, "answered")
    assert fake.closed_streams == 1


def test_silence_asks_nothing():
    with listening() as socket:
        socket.send_bytes(bytes(32_000))
        socket.send_json({"end": True})
        assert socket.receive_json() == {"type": "nothing_asked", "reason": "no speech"}


def test_a_server_that_is_not_ready_is_reported_at_once():
    with listening(fake=FakeClient(is_ready=False)) as socket:
        event = socket.receive_json()
    assert event["kind"] == "ServerUnreachable" and "is not ready" in event["message"]


def test_a_question_that_fails_is_reported_by_kind():
    with listening(fake=FakeClient(Overloaded("10.0.0.1 is full"))) as socket:
        say_question(socket)
        failed = events_until(socket, "failed")[-1]
    assert failed == {"type": "failed", "kind": "Overloaded", "message": "the server is busy; try again in a moment"}


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("", "first message: Invalid JSON"),
        ("[]", "first message: "),
        ({"context": "A text."}, "sample_rate: Field required"),
        ({**START, "sample_rate": 10**30}, "sample_rate"),
        ({**START, "sample_rate": 1}, "sample_rate"),
        ({**START, "pause_seconds": 99}, "pause_seconds"),
        ({**START, "volume": 11}, "volume: Extra inputs are not permitted"),
        ('"a string"', "first message: "),
        ({**START, "context": 11_000 * "\N{EURO SIGN}"}, "expected at most 32768 bytes of UTF-8, got 33000"),
        ({**START, "context": " \n\x00"}, "context: expected at least one word"),
    ],
)
def test_an_invalid_first_message_is_explained(start, message):
    with listening(start) as socket:
        assert message in receive_failure(socket)


async def test_a_page_that_has_left_when_its_first_message_is_refused_is_no_fault():
    received = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "no JSON"}])

    async def receive():
        return next(received)

    async def send(message):
        if message["type"] == "websocket.send":
            raise ConnectionResetError  # as an ASGI server does

    scope = {"type": "websocket", "path": "/v1/listen", "headers": [(b"host", b"127.0.0.1")], "query_string": b""}
    await make_app(FakeClient(), Settings())(scope, receive, send)


def test_a_silent_connection_is_closed(monkeypatch):
    monkeypatch.setattr("convai.talk.listening.FIRST_MESSAGE_SECONDS", 0.05)
    with listening(start=None) as socket:
        assert "first message: expected it within 0.05 s, got none" in receive_failure(socket)


def test_a_page_that_sends_no_samples_is_closed(monkeypatch):
    monkeypatch.setattr("convai.talk.listening.SILENT_SECONDS", 0.05)
    with listening() as socket:
        assert "at least every 0.05 s" in receive_failure(socket)


def test_a_message_of_more_than_5_s_is_refused():
    with listening() as socket:
        socket.send_bytes(bytes(2 * 16_000 * 6))
        assert "expected at most 5 s in a message, got 6.0 s" in receive_failure(socket)


def test_half_a_sample_is_refused():
    with listening() as socket:
        socket.send_bytes(bytes(3))
        assert "expected an even number of bytes (16 bit each), got 3" in receive_failure(socket)


def test_with_a_key_only_pages_that_send_it_may_listen():
    with listening(api_key="sesame") as socket:
        assert "expected the key of this server" in receive_failure(socket)
    with listening({**START, "key": "thyme"}, api_key="sesame") as socket:
        assert socket.receive_json()["kind"] == "InvalidKey"
    with listening({**START, "key": "sesame"}, api_key="sesame") as socket:
        socket.send_json({"end": True})
        assert socket.receive_json()["type"] == "nothing_asked"


def test_a_page_of_another_site_may_not_listen():
    with pytest.raises(WebSocketDisconnect), listening(headers={"Origin": "https://evil.example"}):
        pass
    with listening(headers={"Origin": "http://127.0.0.1", "Host": "127.0.0.1"}) as socket:
        socket.send_json({"end": True})
        assert socket.receive_json()["type"] == "nothing_asked"


def test_a_page_beyond_the_limit_is_refused():
    app = make_app(FakeClient(), Settings(max_concurrent=1))
    with TestClient(app, base_url="http://127.0.0.1") as http, connect(http), connect(http) as first:
        first.send_json(START)  # the one before has sent nothing, and has no slot
        with connect(http) as second:
            second.send_json(START)
            assert "the server is busy" in receive_failure(second)
