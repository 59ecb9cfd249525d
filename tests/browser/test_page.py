"""A user speaks the example question into the page."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from support.browser_steps import read_question, save, silence, switch_hands_free, until, upload, wait_for_end_of_speech
from support.containers import write_recording
from support.places import EXAMPLES

from convai.client.audio_files import read_mono

ANSWER = "England's national poet"


@pytest.fixture(scope="module")
def answered(open_shared_page):
    """The page after a hands-free question."""
    page = open_shared_page(silence(1.5), read_question(), silence(1))
    switch_hands_free(page)
    page.locator("#answer").filter(has_text=ANSWER).wait_for()
    return page


def test_the_transcript_stands_above_the_answer_which_is_marked_in_its_text(answered, client, example_context):
    audio, rate = save(answered, "Save question 1")
    transcript = client.ask(audio, sample_rate=rate, context=example_context, outputs=["question"]).question
    assert answered.locator("#question").text_content() == f"“{transcript}”"
    assert answered.locator("#caption").text_content() == ""
    assert answered.locator("#backdrop mark").text_content() == ANSWER
    assert float(answered.locator("#score").text_content().split()[1]) > 0.5


def test_the_answer_plays_by_itself_and_is_the_servers(answered, client, example_context):
    until(answered, "player.currentTime > 0")
    question, rate = save(answered, "Save question 1")
    (expected,) = client.ask_stream(question, sample_rate=rate, context=example_context)  # short: one chunk
    audio, rate = save(answered, "Save answer 1")
    assert (expected.answer, rate) == (ANSWER, expected.sample_rate)
    np.testing.assert_allclose(audio, expected.answer_audio, atol=2e-3)
    (link,) = answered.get_by_role("link", name="Save answer 1").all()
    assert answered.evaluate("player.src") == link.get_attribute("href")


def test_pictures_and_times_are_shown_and_survive_a_change_of_size(answered):
    answered.get_by_text("Audio and timing").click()
    answered.locator("#steps").wait_for()
    steps = answered.locator("#steps tbody th").all_text_contents()
    assert steps[0] == "speech features" and "waveglow" in steps
    before = answered.evaluate("document.getElementById('mel').width")
    answered.set_viewport_size({"width": 500, "height": 900})
    until(answered, f"document.getElementById('mel').width !== {before}")
    pixels = "mel.getContext('2d').getImageData(0, 0, mel.width, mel.height).data"
    assert answered.evaluate(f"new Set(new Uint32Array({pixels}.buffer)).size") > 1


def test_axe_finds_no_serious_violation(answered):
    answered.evaluate("details.open = true")
    for scheme in ("light", "dark"):
        answered.emulate_media(color_scheme=scheme)
        found = Axe().run(answered).response["violations"]
        assert [(one["id"], one["impact"]) for one in found if one["impact"] in ("serious", "critical")] == []


def test_words_appear_while_the_space_bar_is_held_and_letting_go_asks(open_page):
    """A caption may misrecognise a word of an incomplete question, so its words are not compared."""
    page = open_page(silence(0.5), read_question(), silence(5))
    page.locator("h1").click()
    page.keyboard.down("Space")
    page.get_by_role("button", name="Listening").wait_for()
    wait_for_end_of_speech(page)
    assert page.locator("#answer-panel").is_hidden() and page.locator("#status").text_content() == ""
    page.keyboard.up("Space")
    page.locator("#answer").filter(has_text=ANSWER).wait_for()
    assert page.locator("#caption").text_content() == ""
    assert page.get_by_role("button", name="Hold to talk").is_visible()


def test_every_control_is_reached_with_the_tabulator_key_and_a_space_in_the_text_is_a_space(open_page):
    page = open_page(silence(1))
    page.locator("h1").click()
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"API", "examples", "open-text", "text", "talk", "hands-free", "open-recording"} <= reached
    page.get_by_label("Text to answer from").fill("two")
    page.get_by_label("Text to answer from").press("Space")
    assert page.get_by_label("Text to answer from").input_value() == "two "
    assert page.get_by_role("button", name="Hold to talk").is_visible()


def test_the_keyboard_alone_asks_a_question(open_page):
    """Enter on the button begins and ends, as with a screen reader."""
    page = open_page(silence(0.5), read_question(), silence(5))
    page.get_by_role("button", name="Hold to talk").focus()
    page.keyboard.press("Enter")
    wait_for_end_of_speech(page)
    page.keyboard.press("Enter")
    page.locator("#answer").filter(has_text=ANSWER).wait_for()


def test_a_recording_is_answered_from_a_chosen_or_a_dropped_text(open_page):
    page = open_page(silence(1))
    page.locator("#examples").select_option(label="Who was the first man on the moon?")
    upload(page, EXAMPLES / "bread.flac")
    page.locator("#answer").filter(has_text="The text has no answer to this.").wait_for()
    page.get_by_role("button", name="Stop speaking").wait_for()  # the fallback is spoken, in chunks
    assert page.locator("#backdrop mark").count() == 0
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            const text = "\U0001f30d\U0001f3d4 Mount Everest is the highest mountain on Earth.";
            data.items.add(new File([text], "text.txt", {type: "text/plain"}));
            const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true});
            document.getElementById("text-panel").dispatchEvent(drop);
        }"""
    )
    page.get_by_text("0.1 of 32 KiB").wait_for()
    upload(page, EXAMPLES / "everest.flac")
    page.locator("#answer").filter(has_text="Mount Everest").wait_for()
    assert page.locator("#backdrop mark").text_content() == "Mount Everest"


def test_a_recording_that_the_browser_cannot_decode_is_decoded_by_the_server(open_page, tmp_path):
    audio, rate = read_mono(EXAMPLES / "question.wav")
    (tmp_path / "question.amr").write_bytes(write_recording("amr", audio, rate))
    page = open_page(silence(1))
    upload(page, tmp_path / "question.amr")
    page.locator("#answer").filter(has_text=ANSWER).wait_for()


def test_speaking_again_stops_the_answer_and_asks_the_next_question(open_page):
    page = open_page(silence(1), read_question(), silence(8), read_question(), silence(1))
    page.evaluate("player.loop = true")  # an answer that still plays when the user speaks again
    switch_hands_free(page)
    until(page, "!player.paused && player.currentTime > 0")
    until(page, "player.paused")
    page.get_by_role("link", name="Save answer 2").wait_for()
    switch_hands_free(page)
    page.wait_for_timeout(500)
    assert page.get_by_role("alert").text_content() == page.locator("#status").text_content() == ""
