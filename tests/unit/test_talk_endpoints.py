import base64
import io
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from support.fake_client import ANSWER, CHUNKS, STREAMS, FakeClient

from convai.client import ConvaiError, InvalidInput, Overloaded, ServerUnreachable, TimedOut
from convai.errors import InvalidArgument
from convai.talk.app import make_app
from convai.talk.settings import Settings

TRANSCRIPTIONS, SPEECH, ASK = "/v1/audio/transcriptions", "/v1/audio/speech", "/v1/ask"


@contextmanager
def web(fake=None, **settings):
    app = make_app(fake or FakeClient(), Settings(**settings))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as http:
        yield http


@pytest.fixture
def http():
    with web() as http:
        yield http


def recording(seconds=1.0, rate=16_000, channels=1, form="WAV"):
    file = io.BytesIO()
    soundfile.write(file, np.full((int(seconds * rate), channels), 0.1), rate, format=form)
    return file.getvalue()


def message_of(response, status):
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error["message"]


def test_a_transcript_comes_as_json_text_or_in_full(http):
    def get(form):
        return http.post(TRANSCRIPTIONS, files={"file": recording(1.5)}, data={"response_format": form})

    assert get("json").json() == {"text": "1.50 s"}
    assert get("text").text == "1.50 s\n"
    in_full = get("verbose_json").json()
    assert in_full["duration"] == 1.5
    assert in_full["segments"] == [{"id": 0, "start": 0.0, "end": 1.5, "text": "1.50 s"}]


@pytest.mark.parametrize("form", ["WAV", "FLAC", "MP3", "OGG"])
def test_a_recording_of_every_format_is_decoded_to_one_channel(form):
    fake = FakeClient()
    with web(fake) as http:
        http.post(TRANSCRIPTIONS, files={"file": recording(2, channels=2, form=form)})
    ((_, audio),) = fake.asked
    assert audio.shape == (pytest.approx(32_000, abs=1600),)


@pytest.mark.parametrize(("form", "rate"), [("wav", 22_050), ("flac", 22_050), ("mp3", 22_050), ("opus", 24_000)])
def test_a_text_is_spoken_in_every_format(http, form, rate):
    response = http.post(SPEECH, json={"input": "Hello", "response_format": form})
    audio, found_rate = soundfile.read(io.BytesIO(response.content))
    # Opus and MP3 begin with what their decoders skip.
    assert (found_rate, len(audio) / rate) == (rate, pytest.approx(1, abs=0.12))
    assert np.sqrt(np.mean(audio**2)) == pytest.approx(np.sqrt(np.mean(ANSWER.answer_audio**2)), rel=0.1)


@pytest.mark.parametrize(("models", "kind"), [(STREAMS, "speak_stream"), ((), "speak")])
def test_raw_samples_come_in_chunks_at_24_khz_as_openais_clients_play_them(models, kind):
    """Whole from a server that does not stream."""
    fake = FakeClient(models=models)
    with web(fake) as http:
        response = http.post(SPEECH, json={"input": "Hello", "response_format": "pcm"})
    assert [called for called, _ in fake.asked] == [kind]
    samples = np.frombuffer(response.content, "<i2")
    assert len(samples) == pytest.approx(24_000, abs=2)
    assert np.abs(samples).max() == pytest.approx(32767 / 2, rel=0.02)


def test_raw_samples_are_sent_before_the_rest_is_spoken(caplog):
    """Of a stream that breaks off, the first chunk is there; what fails at once has a status."""
    fake = FakeClient(streamed=CHUNKS[:1], stream_error=Overloaded("busy"))
    with web(fake) as http:
        response = http.post(SPEECH, json={"input": "Hello", "response_format": "pcm"})
        assert 0.8 < len(response.content) / (2 * 24_000 / 3) < 1  # a resampler keeps the last moment back
        (record,) = (each for each in caplog.records if each.levelname == "ERROR")
        assert (record.getMessage(), record.exc_info) == ("speech broke off: busy", None)
        fake.streamed = []
        response = http.post(SPEECH, json={"input": "Hello", "response_format": "pcm"})
        assert message_of(response, 503) == "busy"


def test_a_text_too_long_to_be_spoken_whole_is_spoken_in_chunks():
    fake = FakeClient()
    fake.whole_error = InvalidInput("at most 600 symbols")
    with web(fake) as http:
        response = http.post(SPEECH, json={"input": "Hello", "response_format": "wav"})
        audio, _ = soundfile.read(io.BytesIO(response.content), dtype="float32")
        np.testing.assert_allclose(audio, ANSWER.answer_audio, atol=1e-4)
        fake.models = ()
        response = http.post(SPEECH, json={"input": "Hello", "response_format": "wav"})
        assert message_of(response, 400) == "at most 600 symbols"


@pytest.mark.parametrize("context", ["a field", "a file"])
def test_asking_gives_words_and_sound(context):
    fake = FakeClient()
    text = {"data": {"context": "A text."}} if context == "a field" else {}
    files = {"audio": recording()} | ({} if text else {"context": ("text.txt", b"A text.")})
    with web(fake) as http:
        answer = http.post(ASK, files=files, **text).json()
    assert (answer["question"], answer["answer"], answer["answer_span"]) == ("what is it", "a test", [0, 6])
    audio, rate = soundfile.read(io.BytesIO(base64.b64decode(answer["answer_audio"])), dtype="float32")
    assert rate == 22_050
    np.testing.assert_allclose(audio, ANSWER.answer_audio, atol=1e-4)
    assert fake.asked[0][1][2] == "A text."


@pytest.mark.parametrize(
    ("files", "data", "message"),
    [
        ({}, {}, "file: Field required"),
        ({"file": b"not audio"}, {}, "file: expected audio"),
        ({"file": b""}, {}, "file: expected audio"),
        ({"file": recording(31)}, {}, "file: expected at most 30 s"),
        ({"file": recording(channels=12)}, {}, "got 12 channels at 16000 Hz"),
        (
            {"file": recording(rate=192_000)},
            {},
            "expected 1 to 8 channels at 8000 to 48000 Hz, got 1 channels",
        ),
        ({"file": recording()}, {"response_format": "srt"}, "response_format: Input should be 'json', 'text' or"),
        ({"file": recording()}, {"language": "fr"}, "language: expected en"),
        ({"file": recording()}, {"stream": "true"}, "stream: expected false"),
        ({"file": recording()}, {"temperature": "hot"}, "temperature: Input should be a valid number"),
    ],
)
def test_an_invalid_transcription_request_is_explained(http, files, data, message):
    assert message in message_of(http.post(TRANSCRIPTIONS, files=files, data=data), 400)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{}", "input: Field required"),
        ('{"input": 3}', "input: Input should be a valid string"),
        (f'{{"input": "{5000 * "a"}"}}', "input: String should have at most 4096 characters"),
        ('{"input": "Hi", "response_format": "aac"}', "response_format: Input should be 'wav', 'pcm', 'flac', 'opus'"),
        ('{"input": "Hi", "speed": 2}', "speed: expected 1, the only one that is supported, got 2"),
        ("[]", "the request's body"),
        ("{", "JSON decode error"),
    ],
)
def test_an_invalid_speech_request_is_explained(http, body, message):
    response = http.post(SPEECH, content=body, headers={"content-type": "application/json"})
    assert message in message_of(response, 400)


def test_a_context_that_is_not_utf_8_is_refused(http):
    files = {"audio": recording(), "context": ("text.txt", b"\xff\xfe")}
    assert "context: expected UTF-8, got invalid start byte at byte 0" in message_of(http.post(ASK, files=files), 400)


def test_hours_in_a_small_file_are_not_decoded(http):
    hours = recording(3600, rate=8_000, form="FLAC")
    assert len(hours) < 1_000_000
    assert "expected at most 30 s" in message_of(http.post(TRANSCRIPTIONS, files={"file": hours}), 400)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("too short"), 400),
        (Overloaded("busy"), 503),
        (ServerUnreachable("gone"), 503),
        (TimedOut("slow"), 504),
        (ConvaiError("broken"), 502),
    ],
)
def test_each_kind_of_server_error_has_a_status(error, status):
    with web(FakeClient(error)) as http:
        response = http.post(TRANSCRIPTIONS, files={"file": recording()})
    assert message_of(response, status) == str(error)
    assert ("retry-after" in response.headers) == (status == 503)


def test_the_details_of_a_bug_are_not_shown():
    with web(FakeClient(RuntimeError("secret"))) as http:
        assert "secret" not in message_of(http.post(TRANSCRIPTIONS, files={"file": recording()}), 500)


def test_a_body_beyond_the_limit_is_refused():
    with web(max_upload_bytes=10_000) as http:
        response = http.post(TRANSCRIPTIONS, files={"file": recording(1)})
        assert "limit of 10,000 bytes" in message_of(response, 413)

        def endless():
            for _ in range(100):
                yield bytes(1000)

        response = http.post(SPEECH, content=endless(), headers={"content-type": "application/json"})
        assert "limit of 10,000 bytes" in message_of(response, 413)


def test_an_unknown_path_or_method_is_explained(http):
    assert "There is nothing at /v2/none" in message_of(http.get("/v2/none"), 404)
    assert "Method GET is not allowed for /v1/ask" in message_of(http.get(ASK), 405)


def test_another_host_name_is_refused(http):
    """Any site can point its own name at this machine's address."""
    assert http.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_the_description_of_the_api_loads_nothing_from_other_hosts(http):
    assert {TRANSCRIPTIONS, SPEECH, ASK} <= set(http.get("/openapi.json").json()["paths"])
    assert "https://" not in http.get("/docs").text


def test_the_page_gets_its_examples_and_limits(http):
    described = http.get("/page.json").json()
    assert described["max_context_bytes"] == 32_768 and not described["needs_key"]
    assert any("Shakespeare" in example["context"] for example in described["examples"])
    assert described["recogniser"] == "Jasper"


@pytest.mark.parametrize("settings", [{"api_key": ""}, {"api_key": " a"}, {"api_key": "ä"}, {"max_concurrent": 0}])
def test_invalid_settings_are_refused(settings):
    with pytest.raises(InvalidArgument, match="expected"):
        Settings(**settings)
