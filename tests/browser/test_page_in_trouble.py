"""The page explains what goes wrong, and nothing hangs."""

import numpy as np
import pytest
import soundfile
from support.browser_steps import (
    MICROPHONE_RATE,
    read_question,
    silence,
    switch_hands_free,
    upload,
    wait_for_alarm,
    wait_for_whole_answer,
)
from support.places import EXAMPLES
from support.talk_process import TalkProcess

NOISE = (0.1 * np.random.default_rng(0).standard_normal(3 * MICROPHONE_RATE)).clip(-1, 1).astype(np.float32)


def is_idle(page):
    page.get_by_role("switch", name="Hands-free", checked=False).wait_for()  # once the connection is closed
    return page.get_by_role("button", name="That did not work").is_enabled()


def test_a_blocked_microphone(open_page):
    page = open_page(silence(1), is_allowed=False)
    switch_hands_free(page)
    wait_for_alarm(page, "The microphone is blocked. Allow it in the address bar")
    assert is_idle(page)


def test_no_server(open_page):
    with TalkProcess("--server=127.0.0.1:1") as talk:
        page = open_page(silence(1), url=talk.url)
        switch_hands_free(page)
        wait_for_alarm(page, "The speech server does not answer.")
        assert is_idle(page)


def test_the_web_process_ends_during_a_listening(open_page, server):
    with TalkProcess(f"--server={server.grpc_address}") as talk:
        page = open_page(silence(1), url=talk.url)
        switch_hands_free(page)
        page.get_by_role("button", name="Listening").wait_for()
    wait_for_alarm(page, "The page has lost its server.")
    assert is_idle(page)


@pytest.mark.parametrize("sound", [silence(1), NOISE], ids=["silence", "noise"])
def test_what_is_not_speech_asks_nothing(open_page, sound):
    page = open_page(sound)
    page.locator("#talk").click()
    page.get_by_role("button", name="Listening").wait_for()
    page.wait_for_timeout(1000 * len(sound) / MICROPHONE_RATE)
    page.locator("#talk").click()
    wait_for_alarm(page, "No speech was detected.")
    assert is_idle(page) and page.locator("#conversation-panel").is_hidden()


def test_recordings_and_texts_that_cannot_be_asked(open_page, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.tile(read_question(), 20), MICROPHONE_RATE)
    (tmp_path / "no.wav").write_text("not audio")
    page = open_page(silence(1))
    upload(page, tmp_path / "long.wav")
    wait_for_alarm(page, "This recording is longer than 30 seconds.")
    upload(page, tmp_path / "no.wav")
    wait_for_alarm(page, "This recording cannot be read.")
    upload(page, EXAMPLES / "context.txt")
    wait_for_alarm(page, "This file is not a recording.")
    page.get_by_label("Text to answer from").fill("")
    upload(page)
    wait_for_alarm(page, "There is no text to answer from yet.")
    page.get_by_label("Text to answer from").fill("a" * 40_000)
    upload(page)
    wait_for_alarm(page, "The text is longer than the limit.")


def test_a_server_with_a_key(open_page, server):
    with TalkProcess(f"--server={server.grpc_address}", environment={"CONVAI_API_KEY": "sesame"}) as talk:
        page = open_page(silence(1), url=talk.url)
        upload(page)
        wait_for_alarm(page, "This server asks for a key.")
        page.get_by_label("This server asks for a key").fill("sesame")
        upload(page)
        wait_for_whole_answer(page)
