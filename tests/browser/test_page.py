"""A user speaks the example question into the page."""

import numpy as np
import pytest
from support.browser_steps import (
    read_question,
    save,
    silence,
    switch_hands_free,
    until,
    upload,
    wait_for_answer,
    wait_for_end_of_speech,
    wait_for_state,
)
from support.containers import write_recording
from support.places import EXAMPLES

from convai.client.audio_files import read_mono

ANSWER = "England's national poet"


@pytest.fixture(scope="module")
def answered(open_shared_page):
    """The page after a hands-free question."""
    page = open_shared_page(silence(1.5), read_question(), silence(1))
    switch_hands_free(page)
    wait_for_state(page, "speaking")
    wait_for_state(page, "listening")  # all has been spoken
    return page


def test_the_transcript_stands_above_the_answer_which_is_marked_in_its_text(answered, client, example_context):
    audio, rate = save(answered, "Save question 1")
    transcript = client.ask(audio, sample_rate=rate, context=example_context, outputs=["question"]).question
    assert answered.locator(".latest .question").text_content() == f"“{transcript}”"
    assert answered.locator(".latest .answer").text_content() == ANSWER
    assert answered.locator("#caption").text_content() == ""
    assert answered.locator("#backdrop mark").text_content() == ANSWER
    assert answered.locator(".excerpt mark").text_content() == ANSWER
    assert "confidence 0." in answered.locator(".latest").text_content()


def test_the_answer_is_the_servers(answered, client, example_context):
    question, rate = save(answered, "Save question 1")
    (expected,) = client.ask_stream(question, sample_rate=rate, context=example_context)  # short: one chunk
    audio, rate = save(answered, "Save answer 1")
    assert (expected.answer, rate) == (ANSWER, expected.sample_rate)
    np.testing.assert_allclose(audio, expected.answer_audio, atol=2e-3)


def test_pictures_and_times_are_shown_and_survive_a_change_of_size(answered):
    answered.evaluate("document.querySelector('details').open = true")
    answered.get_by_role("table").wait_for()
    steps = answered.get_by_role("rowheader").all_text_contents()
    assert steps[0] == "speech features" and "waveglow" in steps
    mel = "document.querySelector('canvas.mel')"
    before = answered.evaluate(f"{mel}.width")
    answered.set_viewport_size({"width": 500, "height": 900})
    until(answered, f"{mel}.width !== {before}")
    pixels = f"{mel}.getContext('2d').getImageData(0, 0, {before // 4}, 100).data"
    assert answered.evaluate(f"new Set(new Uint32Array({pixels}.buffer)).size") > 1


def test_words_appear_while_the_space_bar_is_held_and_letting_go_asks(open_page):
    """A caption may misrecognise a word of an incomplete question, so its words are not compared."""
    page = open_page(silence(0.5), read_question(), silence(5))
    page.locator("h1").click()
    page.keyboard.down("Space")
    page.get_by_role("button", name="Listening").wait_for()
    wait_for_end_of_speech(page)
    assert page.locator("#conversation-panel").is_hidden() and page.locator("#status").text_content() == ""
    page.keyboard.up("Space")
    wait_for_answer(page, ANSWER)
    assert page.locator("#caption").text_content() == ""
    page.get_by_role("button", name="Hold to talk").wait_for()


def test_every_control_is_reached_with_the_tabulator_key_and_space_talks_unless_a_text_is_typed(open_page):
    page = open_page(silence(1))
    page.locator("h1").click()
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    controls = {"API", "examples", "open-text", "text", "ask-example", "talk", "typed-question", "hands-free"}
    assert controls | {"open-recording"} <= reached
    page.get_by_label("Text to answer from").fill("two")
    page.get_by_label("Text to answer from").press("Space")
    assert page.get_by_label("Text to answer from").input_value() == "two "
    assert page.get_by_role("button", name="Hold to talk").is_visible()
    page.get_by_role("button", name="Open a file").click()  # which a space would click again
    page.keyboard.press("Space")
    page.get_by_role("button", name="Listening").wait_for()


def test_the_keyboard_alone_asks_a_question(open_page):
    """Enter on the button begins and ends, as with a screen reader."""
    page = open_page(silence(0.5), read_question(), silence(5))
    page.get_by_role("button", name="Hold to talk").focus()
    page.keyboard.press("Enter")
    wait_for_end_of_speech(page)
    page.keyboard.press("Enter")
    wait_for_answer(page, ANSWER)


def test_an_example_is_asked_with_one_click_and_a_recording_from_a_dropped_text(open_page):
    page = open_page(silence(1))
    page.locator("#examples").select_option(label="Bread")
    page.get_by_role("button", name="Ask “Who was the first man on the moon?”").click()
    wait_for_answer(page, "The text has no answer to this.")
    wait_for_state(page, "speaking")  # a sentence that says so
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
    assert (page.locator("#examples").input_value(), page.locator("#ask-example").is_visible()) == ("", False)
    upload(page, EXAMPLES / "everest.flac")
    wait_for_answer(page, "Mount Everest")
    assert page.locator("#backdrop mark").text_content() == "Mount Everest"


def test_a_recording_that_the_browser_cannot_decode_is_decoded_by_the_server(open_page, tmp_path):
    audio, rate = read_mono(EXAMPLES / "question.wav")
    (tmp_path / "question.amr").write_bytes(write_recording("amr", audio, rate))
    page = open_page(silence(1))
    upload(page, tmp_path / "question.amr")
    wait_for_answer(page, ANSWER)
