"""What goes wrong is said in words, and nothing hangs."""

import numpy as np
import soundfile
from support.browser_steps import MICROPHONE_RATE, silence, spoken, until
from support.talk_process import TalkProcess

HANDS_FREE = {"name": "Hands-free"}


def status(page):
    until(page, "document.getElementById('status').classList.contains('alarm')")
    return page.locator("#status").text_content()


def is_idle(page):
    return page.get_by_role("button", name="Hold to talk").is_enabled()


def test_a_refused_microphone(open_page):
    page = open_page(silence(1), is_allowed=False)
    page.get_by_role("switch", **HANDS_FREE).click()  # `check` would see that it does not stay on
    assert "keeps the microphone from this page" in status(page)
    assert is_idle(page) and not page.get_by_role("switch", **HANDS_FREE).is_checked()


def test_no_server(open_page):
    with TalkProcess("--server=127.0.0.1:1") as talk:
        page = open_page(spoken("question.wav"), url=talk.url)
        page.get_by_role("switch", **HANDS_FREE).click()
        assert "no connection to a server at 127.0.0.1:1" in status(page)
        assert is_idle(page)


def test_the_web_process_ends_while_it_listens(open_page, server):
    with TalkProcess(f"--server={server.grpc_address}") as talk:
        page = open_page(silence(1), url=talk.url)
        page.get_by_role("switch", **HANDS_FREE).check()
        page.get_by_role("button", name="Listening").wait_for()
    assert status(page)
    assert is_idle(page)


def test_silence(open_page):
    page = open_page(silence(1))
    page.locator("h1").click()
    page.keyboard.down("Space")
    page.get_by_role("button", name="Listening").wait_for()
    page.wait_for_timeout(500)
    page.keyboard.up("Space")
    assert "No speech was heard" in status(page)
    assert is_idle(page)


def test_noise_asks_nothing(open_page):
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * MICROPHONE_RATE)
    page = open_page(noise.clip(-1, 1).astype(np.float32))
    page.get_by_role("switch", **HANDS_FREE).check()
    page.get_by_role("button", name="Listening").wait_for()
    page.wait_for_timeout(4000)
    page.get_by_role("switch", **HANDS_FREE).uncheck()
    assert "No speech was heard" in status(page)
    assert page.locator("#answer-panel").is_hidden()


def test_too_long_a_recording(open_page, tmp_path):
    question = spoken("question.wav")
    soundfile.write(tmp_path / "long.wav", np.tile(question, 20), MICROPHONE_RATE)
    page = open_page(silence(1))
    page.locator("#recording-file").set_input_files(tmp_path / "long.wav")
    assert "may last 30 seconds" in status(page)


def test_a_file_that_is_no_recording(open_page, tmp_path):
    (tmp_path / "no.wav").write_text("no recording")
    page = open_page(silence(1))
    page.locator("#recording-file").set_input_files(tmp_path / "no.wav")
    assert "not a recording that the browser knows" in status(page)


def test_no_text_and_too_much_text(open_page, examples):
    page = open_page(silence(1))
    for text, words in (("", "There is no text"), ("a" * 40_000, "longer than the server takes")):
        page.get_by_label("Text to answer from").fill(text)
        page.locator("#recording-file").set_input_files(examples / "question.wav")
        assert words in status(page)


def test_the_key_is_asked_for(open_page, server, examples):
    with TalkProcess(f"--server={server.grpc_address}", environment={"CONVAI_API_KEY": "sesame"}) as talk:
        page = open_page(silence(1), url=talk.url)
        page.locator("#recording-file").set_input_files(examples / "question.wav")
        assert "asks for a key" in status(page)
        page.get_by_label("This server asks for a key").fill("sesame")
        page.locator("#recording-file").set_input_files(examples / "question.wav")
        page.get_by_role("link", name="Save answer 1").wait_for()
