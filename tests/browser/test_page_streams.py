"""An answer of several chunks is played while the rest is synthesised."""

from contextlib import contextmanager

import grpc
import numpy as np
import pytest
from support.browser_steps import (
    read_question,
    save,
    silence,
    switch_hands_free,
    until,
    upload,
    wait_for_state,
    wait_for_whole_answer,
)
from support.fake_triton import FakeTriton, serving
from support.talk_process import TalkProcess

TEXT = "Louis Armstrong is often called the great ambassador of American music to the countries of the old world."
# Runs in the page before its own scripts: notes the events that arrive, and the chunks that start and stop.
NOTES = """
    window.notes = [];
    window.WebSocket = class extends WebSocket {
      constructor(...addresses) {
        super(...addresses);
        this.addEventListener("message", ({ data }) => typeof data === "string" && notes.push([JSON.parse(data).type]));
      }
    };
    window.AudioBufferSourceNode = class extends AudioBufferSourceNode {
      start(when) {
        notes.push(["start", when, this.buffer.duration]);
        super.start(when);
      }
      stop() {
        notes.push(["stop"]);
        super.stop();
      }
    };
"""


def kinds(page):
    return [note[0] for note in page.evaluate("notes")]


def with_notes(page):
    page.add_init_script(NOTES)
    page.reload()
    until(page, "document.getElementById('examples').options.length > 1")
    return page


@pytest.fixture(scope="module")
def answered(open_shared_page):
    """The page after a question with a long answer, whose notes end with the last of it."""
    page = with_notes(open_shared_page(silence(1)))
    page.get_by_label("Text to answer from").fill(TEXT)
    upload(page)
    wait_for_whole_answer(page)
    return page


def test_the_first_chunk_starts_before_the_next_has_come_and_none_overlaps_another(answered):
    assert [kind for kind in kinds(answered) if kind in ("answered", "start", "chunk")][:4] == [
        "answered",
        "start",
        "chunk",
        "start",
    ]
    starts = [note[1:] for note in answered.evaluate("notes") if note[0] == "start"]
    for (start, duration), (next_start, _) in zip(starts, starts[1:], strict=False):
        assert next_start >= start + duration - 1e-6


def test_the_whole_answer_can_be_saved_and_replayed(answered, client):
    question, rate = save(answered, "Save question 1")
    expected = list(client.ask_stream(question, sample_rate=rate, context=TEXT))
    audio, rate = save(answered, "Save answer 1")
    assert (len(expected) > 1, rate) == (True, expected[0].sample_rate)
    np.testing.assert_allclose(audio, np.concatenate([chunk.answer_audio for chunk in expected]), atol=2e-3)
    wait_for_state(answered, "idle")  # its chunks have been played
    player = "document.querySelector('#conversation audio')"
    until(answered, f"Math.abs({player}.duration - {len(audio) / rate}) < 0.05")
    answered.evaluate(f"{player}.play()")
    wait_for_state(answered, "speaking")
    answered.locator("#talk").click()
    until(answered, f"{player}.paused")


# A fake server, each of whose chunks lasts longer than the test.


def response(index):
    return {
        "chunk_index": np.array([[index]], np.int32),
        "is_last": np.array([[False]]),
        "answer_audio": np.full((1, 60 * 22_050), 0.001, np.float32),
        "question": np.array([[b"who"]], np.object_),
        "answer": np.array([[b"Ada"]], np.object_),
        "answer_score": np.array([[0.5]], np.float32),
        "answer_span": np.array([[0, 3]], np.int32),
    }


@contextmanager
def talk_to(fake):
    with serving(fake) as address, TalkProcess(f"--server={address}") as talk:
        yield talk


def test_after_an_error_in_mid_stream_the_chunks_that_came_are_played(open_page):
    broken = (grpc.StatusCode.INVALID_ARGUMENT, "waveglow is gone")
    with talk_to(FakeTriton(streamed=[response(0), response(1)], error=broken)) as talk:
        page = with_notes(open_page(silence(1), url=talk.url))
        upload(page)
        page.get_by_role("status").filter(has_text="The answer broke off. The server could not use").wait_for()
        assert [kind for kind in kinds(page) if kind in ("start", "stop", "failed")] == ["start", "start", "failed"]
        assert page.get_by_role("button", name="Speaking").is_visible()
        audio, rate = save(page, "Save answer 1")
        assert len(audio) == 2 * 60 * rate


def test_speaking_again_stops_the_chunks_and_cancels_the_rest(open_page):
    fake = FakeTriton(outputs={"question": response(0)["question"]}, streamed=[response(0)], delay_seconds=120)
    with talk_to(fake) as talk:
        page = with_notes(open_page(silence(1.5), read_question(), silence(6), read_question(), url=talk.url))
        switch_hands_free(page)
        page.get_by_role("button", name="Speaking").wait_for()
        assert not fake.is_cancelled.is_set()
        wait_for_whole_answer(page)
        assert fake.is_cancelled.wait(10)
        assert [kind for kind in kinds(page) if kind != "caption"][-3:] == ["start", "speech_started", "stop"]
