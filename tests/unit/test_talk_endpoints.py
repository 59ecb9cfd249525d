import base64
import io
import json
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from support.containers import sweep, write_recording
from support.fake_client import ANSWER, FakeClient

from convai.client import ConvaiError, InvalidInput, Overloaded, ServerUnreachable, TimedOut
from convai.errors import InvalidArgument
from convai.talk.app import make_app
from convai.talk.settings import Settings

USER, TEXT = {"role": "user", "content": "Who?"}, {"role": "system", "content": "A text."}
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

    usage = {"type": "duration", "seconds": 2}
    assert get("json").json() == {"text": "1.50 s", "usage": usage}
    assert get("text").text == "1.50 s\n"
    assert get("srt").text == "1\n00:00:00,000 --> 00:00:01,500\n1.50 s\n"
    assert get("vtt").text == "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n1.50 s\n"
    in_full = get("verbose_json").json()
    assert (in_full["duration"], in_full["usage"]) == (1.5, usage)
    (segment,) = in_full["segments"]
    assert (segment["id"], segment["start"], segment["end"], segment["text"]) == (0, 0.0, 1.5, "1.50 s")
    numbers = {"seek": 0, "tokens": [], "temperature": 0, "avg_logprob": 0, "compression_ratio": 0.429}
    assert segment.items() >= (numbers | {"no_speech_prob": 1}).items()


@pytest.mark.parametrize("form", ["WAV", "FLAC", "MP3", "OGG"])
def test_a_recording_of_every_format_is_decoded_to_one_channel(form):
    fake = FakeClient()
    with web(fake) as http:
        http.post(TRANSCRIPTIONS, files={"file": recording(2, channels=2, form=form)})
    ((_, audio),) = fake.asked
    assert audio.shape == (pytest.approx(32_000, abs=1600),)


def test_words_have_times_within_the_recording(http):
    data = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    described = http.post(TRANSCRIPTIONS, files={"file": recording()}, data=data).json()
    assert [one["word"] for one in described["words"]] == described["text"].split()
    assert 0.1 <= described["words"][0]["start"] < described["words"][-1]["end"]
    assert http.post(TRANSCRIPTIONS, files={"file": recording()}).json().get("words") is None


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


def test_a_typed_question_is_answered_and_its_sentence_spoken():
    fake = FakeClient()
    with web(fake) as http:
        answer = http.post(ASK, data={"question": "Who?", "context": "A text."}).json()
        message = message_of(http.post(ASK, data={"context": "A text."}), 400)
        assert "either a recording or a typed question, got neither" in message
        both = http.post(ASK, data={"question": "Who?", "context": "A text."}, files={"audio": recording()})
        assert "got both" in message_of(both, 400)
    assert (answer["question"], answer["answer"], answer["answer_span"]) == ("Who?", "a test", [0, 6])
    audio, _ = soundfile.read(io.BytesIO(base64.b64decode(answer["answer_audio"])), dtype="float32")
    np.testing.assert_allclose(audio, ANSWER.answer_audio, atol=1e-4)
    (_, request), (_, spoken) = fake.asked
    assert (request.model, spoken) == ("question_answering", ANSWER.sentence)


@pytest.mark.parametrize(
    ("files", "data", "message"),
    [
        ({}, {}, "file: Field required"),
        ({"file": b"not audio"}, {}, "file: expected audio"),
        ({"file": b""}, {}, "file: expected audio"),
        ({}, {"file": "text"}, "file: expected a file, got a field without a file name"),
        ({"file": recording(0.05)}, {}, "file: expected at least 0.1 s of audio, got 0.050 s"),
        ({"file": recording(rate=3_000)}, {}, "file: expected a rate of 4000 to 192000 Hz, got 3000 Hz"),
        ({"file": recording()}, {"response_format": "xml"}, "response_format: Input should be 'json', 'text'"),
        ({"file": recording()}, {"language": "fr"}, "language: expected en"),
        ({"file": recording()}, {"prompt": "a" * 40_000}, "prompt: expected at most 32,768 bytes, got 40,000"),
        ({"file": recording()}, {"timestamp_granularities[]": "word"}, "expected verbose_json with times of words"),
        ({"file": recording()}, {"timestamp_granularities[]": "page"}, "Input should be 'segment'"),
        ({"file": recording()}, {"stream": "true", "response_format": "srt"}, "expected json with stream, got srt"),
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
        ('{"input": "Hi", "response_format": "wma"}', "response_format: Input should be 'mp3', 'opus', 'aac', 'flac'"),
        ('{"input": "Hi", "speed": 0.4}', "speed: expected 0.5 to 2, got 0.4"),
        ('{"input": "Hi", "speed": 4}', "speed: expected 0.5 to 2, got 4"),
        ('{"input": "Hi", "speed": NaN}', "speed: expected 0.5 to 2, got nan"),
        ("[]", "the request's body"),
        ("{", "expected JSON, got malformed JSON (Expecting property name enclosed in double quotes at character 1)"),
    ],
)
def test_an_invalid_speech_request_is_explained(http, body, message):
    response = http.post(SPEECH, content=body, headers={"content-type": "application/json"})
    assert message in message_of(response, 400)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "messages: Field required"),
        ({"messages": []}, "messages: expected a user message with the question"),
        ({"messages": [USER]}, "messages: expected a system message with the text to answer from"),
        ({"messages": ["Who?"]}, "messages.0: Input should be a valid dictionary"),
        ({"messages": [TEXT, {"role": "user", "content": [{"type": "input_audio"}]}]}, "got 'input_audio'"),
        ({"messages": [TEXT, USER], "n": 2}, "n: expected 1"),
        ({"messages": [TEXT, USER], "tool_choice": "required"}, "tool_choice: expected auto or none"),
        ({"messages": [TEXT, USER], "response_format": {"type": "json_object"}}, "response_format: expected text"),
        ({"messages": [TEXT, USER], "modalities": ["audio"]}, "modalities: expected text"),
    ],
)
def test_an_invalid_chat_request_is_explained(http, body, message):
    assert message in message_of(http.post("/v1/chat/completions", json=body), 400)


def test_the_name_of_a_model_that_cannot_be_sent_back_is_refused(http):
    body = json.dumps({"messages": [TEXT, USER], "model": "\ud800"})
    refused = http.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert message_of(refused, 400).startswith("model: ")


def test_a_context_that_is_not_utf_8_is_refused(http):
    files = {"audio": recording(), "context": ("text.txt", b"\xff\xfe")}
    assert "context: expected UTF-8, got invalid start byte at byte 0" in message_of(http.post(ASK, files=files), 400)


def test_the_page_gets_the_samples_of_a_recording_that_its_browser_does_not_know(http):
    recorded = sweep(1.5)
    response = http.post("/v1/decode", files={"file": write_recording("wma", recorded, 16_000)})
    samples = np.frombuffer(response.content, "<i2") / 32767
    assert len(samples) / 16_000 == pytest.approx(1.5, abs=0.1)
    assert np.std(samples) == pytest.approx(np.std(recorded), rel=0.1)
    assert "file: expected audio" in message_of(http.post("/v1/decode", files={"file": b"text"}), 400)


def test_hours_in_a_small_file_are_not_decoded(http):
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8_000, 1, format="FLAC") as hours:
        for _ in range(4):
            hours.write(np.full(3600 * 8_000, 1000, np.int16))
    files = {"file": file.getvalue(), "audio": file.getvalue()}
    assert len(files["file"]) < 1_000_000
    assert "file: expected at most 3 h" in message_of(http.post(TRANSCRIPTIONS, files=files), 400)
    assert "audio: expected at most 30 s" in message_of(http.post(ASK, files=files, data={"context": "A"}), 400)


@pytest.mark.parametrize("language", ["en", "en-US", "en_GB", "eng", "English", "auto", "", "null"])
def test_english_has_many_names(http, language):
    response = http.post(TRANSCRIPTIONS, files={"file": recording()}, data={"language": language})
    assert response.json()["text"] == "1.00 s"


def test_null_is_as_if_left_out(http):
    names = ("language", "prompt", "response_format", "temperature", "stream", "timestamp_granularities[]")
    for null in ("null", ""):
        response = http.post(TRANSCRIPTIONS, files={"file": recording()}, data=dict.fromkeys(names, null))
        assert response.json()["text"] == "1.00 s"
    asked = http.post(
        ASK, files={"audio": recording()}, data={"context": "A text.", "seed": "null", "audio_format": ""}
    )
    assert asked.json()["audio_format"] == "wav"
    names = ("response_format", "speed", "instructions", "voice", "model", "stream_format")
    assert http.post(SPEECH, json={"input": "Hello"} | dict.fromkeys(names)).status_code == 200


def test_a_prompt_is_the_context_of_the_recogniser():
    fake = FakeClient()
    with web(fake) as http:
        response = http.post(TRANSCRIPTIONS, files={"file": recording()}, data={"prompt": "Some words."})
    ((kind, request),) = fake.asked
    assert (kind, request.model, request.outputs) == ("answer", "convai_ensemble", ("question",))
    assert request.inputs["context"].tolist() == [[b"Some words."]]
    assert response.json()["text"] == ANSWER.question


def test_the_models_are_listed_by_their_names(http):
    names = [model["id"] for model in http.get("/v1/models").json()["data"]]
    assert names == ["speech_to_text", "question_answering", "text_to_speech"]
    assert http.get("/v1/models/text_to_speech").json()["object"] == "model"
    assert "got 'gpt-7'" in message_of(http.get("/v1/models/gpt-7"), 404)


def test_a_translation_is_refused_with_a_sentence(http):
    assert "Nothing is translated here" in message_of(http.post("/v1/audio/translations", files={"file": b""}), 404)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput("too short"), 400),
        (Overloaded("10.0.0.1 is full"), 503),
        (ServerUnreachable("10.0.0.1 is gone"), 503),
        (TimedOut("10.0.0.1 is slow"), 504),
        (ConvaiError("10.0.0.1 is broken"), 502),
    ],
)
def test_each_kind_of_server_error_has_a_status_and_only_an_invalid_request_its_own_words(error, status):
    with web(FakeClient(error)) as http:
        response = http.post(TRANSCRIPTIONS, files={"file": recording()})
    assert (str(error) in message_of(response, status)) == (status == 400)
    assert ("retry-after" in response.headers) == (status == 503)


def test_the_details_of_a_bug_are_not_shown():
    with web(FakeClient(RuntimeError("secret"))) as http:
        assert "secret" not in message_of(http.post(TRANSCRIPTIONS, files={"file": recording()}), 500)


def test_a_body_beyond_the_limit_is_refused():
    with web(max_upload_bytes=10_000) as http:
        for body in ({"files": {"file": recording(1)}}, {"json": {"input": "a" * 10_000}}):
            assert "at most 10,000 bytes" in message_of(http.post(TRANSCRIPTIONS, **body), 413)


def test_every_answer_has_the_id_of_its_request_or_a_new_one(caplog):
    for fake, status in ((FakeClient(), 200), (FakeClient(Overloaded("busy")), 503), (FakeClient(RuntimeError()), 500)):
        with web(fake) as http:
            response = http.post(SPEECH, json={"input": "Hello"}, headers={"x-request-id": "mine-1"})
            assert (response.status_code, response.headers["x-request-id"]) == (status, "mine-1")
            assert ("mine-1" in caplog.text) == (status >= 500)
            caplog.clear()
    with web() as http:
        made = [
            http.get("/v1/models", headers={"x-request-id": given}).headers["x-request-id"] for given in ("", "a b")
        ]
    assert len({*made, "", "a b"}) == 4


def test_an_unknown_path_or_method_is_explained(http):
    assert "There is nothing at /v2/none" in message_of(http.get("/v2/none"), 404)
    assert "Method GET is not allowed for /v1/ask" in message_of(http.get(ASK), 405)


def test_the_description_of_the_api_loads_nothing_from_other_hosts(http):
    assert {TRANSCRIPTIONS, SPEECH, ASK} <= set(http.get("/openapi.json").json()["paths"])
    assert "https://" not in http.get("/docs").text


def test_the_page_gets_its_examples_and_limits(http):
    described = http.get("/page.json").json()
    assert described["max_context_bytes"] == 32_768 and not described["needs_key"]
    first = described["examples"][0]
    assert first["title"] == "Shakespeare" and "Shakespeare" in first["context"]
    assert http.get(first["audio"]).headers["content-type"].startswith("audio/")
    assert described["recogniser"] == "Jasper"


@pytest.mark.parametrize("settings", [{"api_key": ""}, {"api_key": " a"}, {"api_key": "ä"}, {"max_concurrent": 0}])
def test_invalid_settings_are_refused(settings):
    with pytest.raises(InvalidArgument, match="expected"):
        Settings(**settings)
