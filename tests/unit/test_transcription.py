import asyncio
import io
import json
import logging
from contextlib import aclosing

import httpx2
import numpy as np
import pytest
import soundfile
from support.asgi_call import Call
from support.fake_client import FakeClient

from convai.__main__ import main
from convai.client import Overloaded, ServerError, ServerUnreachable
from convai.client import transcription as module
from convai.client.segments import AudioSegment
from convai.client.transcription import SEGMENTS_IN_FLIGHT, Segment, as_srt, as_vtt, transcribe_segments
from convai.talk.app import make_app
from convai.talk.settings import Settings

TRANSCRIPTIONS = "/v1/audio/transcriptions"


def pieces(count, taken=None):
    """Segments of 1, 2, 3... s, one after another; the number of each taken is appended to `taken`."""
    for number in range(1, count + 1):
        if taken is not None:
            taken.append(number)
        yield []
        yield [AudioSegment(np.zeros(16_000 * number, np.float32), 0.0, 100.0 * number, 100.0 * number + number, 1.0)]


async def collect(client, cut):
    return [segment async for segment in transcribe_segments(client, cut)]


async def test_transcripts_come_in_order_with_their_times():
    segments = await collect(FakeClient(), pieces(7))
    assert [segment.text for segment in segments] == [f"{number}.00 s" for number in range(1, 8)]
    assert (segments[2].start_seconds, segments[2].end_seconds) == (300, 303)


async def test_only_a_few_segments_are_in_flight_and_the_rest_is_not_decoded_yet():
    client, taken = FakeClient(), []
    client.gate = asyncio.Event()
    working = asyncio.create_task(collect(client, pieces(50, taken)))
    while len(client.asked) < SEGMENTS_IN_FLIGHT:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert len(client.asked) == SEGMENTS_IN_FLIGHT and len(taken) <= SEGMENTS_IN_FLIGHT + 1
    client.gate.set()
    assert len(await working) == 50


async def test_closing_stops_decoding_and_cancels_what_is_in_flight():
    client, taken = FakeClient(), []
    async with aclosing(transcribe_segments(client, pieces(50, taken))) as segments:
        await anext(segments)
        client.gate = asyncio.Event()
    assert len(taken) < 10
    assert len([task for task in asyncio.all_tasks() if not task.done()]) == 1


async def test_a_busy_server_refuses_a_recording_only_at_its_first_segment(monkeypatch):
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    refusals = {"1.00 s": 0, "2.00 s": 5, "6.00 s": 5}

    class BusyClient(FakeClient):
        async def transcribe(self, audio, *, sample_rate):
            text = await super().transcribe(audio, sample_rate=sample_rate)
            if refusals.get(text, 0):
                refusals[text] -= 1
                raise Overloaded("busy")
            return text

    assert len(await collect(BusyClient(), pieces(7))) == 7
    refusals["1.00 s"] = 1
    with pytest.raises(Overloaded):
        await collect(BusyClient(), pieces(7))


SEGMENTS = [Segment("one", 0.5, 2.25, 1, True), Segment("", 3, 4, 1, True), Segment("two", 3661.0, 3662.0004, 1, True)]


def test_subtitles_have_a_number_and_times_for_each_text():
    assert as_srt(SEGMENTS) == ("1\n00:00:00,500 --> 00:00:02,250\none\n\n2\n01:01:01,000 --> 01:01:02,000\ntwo\n")
    assert as_vtt(SEGMENTS) == ("WEBVTT\n\n00:00:00.500 --> 00:00:02.250\none\n\n01:01:01.000 --> 01:01:02.000\ntwo\n")


@pytest.fixture
def split_at_seconds(monkeypatch):
    """Every second of a recording is a segment, as if it were speech."""

    def cut(blocks, detector):
        audio = np.concatenate(list(blocks))
        for start in range(0, len(audio), 16_000):
            second = start / 16_000
            yield [AudioSegment(audio[start : start + 16_000], second, second, second + 1, 0.75)]

    monkeypatch.setattr(module, "cut_recording", cut)


def recording(seconds):
    file = io.BytesIO()
    soundfile.write(file, np.full(int(16_000 * seconds), 0.1), 16_000, format="FLAC")
    return file.getvalue()


def connect(client):
    transport = httpx2.ASGITransport(make_app(client, Settings()))
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60)


def events_of(response):
    return [json.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line]


@pytest.mark.usefixtures("split_at_seconds")
async def test_a_long_recording_comes_whole_or_segment_by_segment():
    files, text = {"file": recording(31)}, " ".join(["1.00 s"] * 31)
    async with connect(FakeClient()) as http:
        in_full = (await http.post(TRANSCRIPTIONS, files=files, data={"response_format": "verbose_json"})).json()
        events = events_of(await http.post(TRANSCRIPTIONS, files=files, data={"stream": "true"}))
    assert (in_full["text"], in_full["duration"], len(in_full["segments"])) == (text, 31, 31)
    last = in_full["segments"][-1]
    assert (last["id"], last["seek"], last["start"], last["end"], last["no_speech_prob"]) == (30, 3000, 30, 31, 0.25)
    assert [event["type"] for event in events] == ["transcript.text.delta"] * 31 + ["transcript.text.done"]
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"] == text


@pytest.mark.usefixtures("split_at_seconds")
async def test_a_failure_midway_is_the_last_event_and_one_at_once_has_a_status():
    class FailingClient(FakeClient):
        async def transcribe(self, audio, *, sample_rate):
            if len(self.asked) == 5:
                raise ServerError("broken")
            return await super().transcribe(audio, sample_rate=sample_rate)

    options = {"files": {"file": recording(9)}, "data": {"stream": "true"}}
    async with connect(FailingClient()) as http:
        events = events_of(await http.post(TRANSCRIPTIONS, **options))
    assert [event.get("type") for event in events] == ["transcript.text.delta"] * 5 + [None]
    message = events[-1]["error"].pop("message")
    assert "broken" not in message and "failed" in message
    assert events[-1]["error"] == {"type": "server_error", "param": None, "code": None}
    async with connect(FakeClient(Overloaded("busy"))) as http:
        assert (await http.post(TRANSCRIPTIONS, **options)).status_code == 503


async def wait_until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about within 5 s")


@pytest.mark.usefixtures("split_at_seconds")
@pytest.mark.parametrize("stream", [False, True])
async def test_work_stops_when_the_caller_goes(stream):
    client = FakeClient()
    client.gate = asyncio.Event()
    form = httpx2.Request("POST", "http://127.0.0.1", files={"file": recording(9)}, data={"stream": str(stream)})
    call = Call(client, TRANSCRIPTIONS, form.read(), form.headers["content-type"])
    await wait_until(lambda: len(client.asked) == SEGMENTS_IN_FLIGHT)
    await call.leave()
    client.gate.set()
    await asyncio.sleep(0.05)
    assert len(client.asked) == SEGMENTS_IN_FLIGHT
    assert call.app.state.limit.active == 0
    assert (await call.read())["status"] == 499


@pytest.mark.usefixtures("split_at_seconds")
async def test_an_empty_transcript_of_speech_is_logged_and_counted(caplog):
    class DeafClient(FakeClient):
        async def transcribe(self, audio, *, sample_rate):
            return ""

    async with connect(DeafClient()) as http:
        with caplog.at_level(logging.WARNING):
            assert (await http.post(TRANSCRIPTIONS, files={"file": recording(3)})).json()["text"] == ""
        assert "a recording with 3.0 s of speech has an empty transcript" in caplog.text
        assert "\nconvai_empty_transcripts_total 1.0\n" in (await http.get("/metrics")).text


# convai transcribe


@pytest.fixture
def transcribe(monkeypatch, tmp_path):
    """Run the command with a fake server."""

    class FakeClientInContext(FakeClient):
        async def close(self):
            pass

    def run(*options, error=None):
        monkeypatch.setattr("convai.client.transcribe.AsyncConvaiClient", lambda *_, **__: FakeClientInContext(error))
        return main(["transcribe", *map(str, options)])

    return run


@pytest.mark.usefixtures("split_at_seconds")
def test_transcripts_are_printed_or_written_in_each_format(transcribe, tmp_path, capsys):
    (tmp_path / "a.flac").write_bytes(recording(2))
    assert transcribe(tmp_path / "a.flac") == 0
    assert capsys.readouterr().out == "1.00 s 1.00 s\n"
    assert transcribe(tmp_path / "a.flac", "--format", "json") == 0
    second = {"start_seconds": 1.0, "end_seconds": 2.0, "text": "1.00 s"}
    assert json.loads(capsys.readouterr().out)["segments"][1] == second
    for form in ("srt", "vtt"):
        assert transcribe(tmp_path, "--format", form, "--out", tmp_path / "out") == 0
        assert "00:00:01" in (tmp_path / f"out/a.{form}").read_text()


@pytest.mark.usefixtures("split_at_seconds")
def test_a_file_that_cannot_be_transcribed_does_not_stop_the_others(transcribe, tmp_path, capsys):
    (tmp_path / "a.flac").write_bytes(b"no audio")
    (tmp_path / "b.flac").write_bytes(recording(1))
    assert transcribe(tmp_path / "a.flac", tmp_path / "missing.flac", tmp_path / "b.flac") == 1
    printed = capsys.readouterr()
    assert printed.out == "1.00 s\n"
    assert "a.flac: expected audio" in printed.err and "missing.flac: cannot be read: No such file" in printed.err


@pytest.mark.usefixtures("split_at_seconds")
@pytest.mark.parametrize(("error", "files"), [(ServerUnreachable("no connection"), 1), (Overloaded("busy"), 2)])
def test_an_error_of_the_server_has_its_own_words_and_without_a_server_no_other_file_is_tried(
    transcribe, tmp_path, capsys, error, files
):
    for name in ("a.flac", "b.flac"):
        (tmp_path / name).write_bytes(recording(1))
    assert transcribe(tmp_path, error=error) == 1
    assert capsys.readouterr().err.count(str(error)) == files


def test_a_transcript_does_not_overwrite_a_recording(transcribe, tmp_path, capsys):
    (tmp_path / "a.flac").write_bytes(recording(1))
    assert transcribe(tmp_path / "a.flac", "--out", tmp_path / "a.flac") == 1
    assert "would overwrite" in capsys.readouterr().err
