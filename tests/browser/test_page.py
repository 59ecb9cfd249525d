"""Somebody speaks the example question into the page."""

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from support.browser_steps import choose_example, saved, silence, spoken, until, until_it_was_said

ANSWER = "England's national poet"


@pytest.fixture(scope="module")
def answered(open_pages):
    """The page after a hands-free question."""
    page = open_pages(silence(1.5), spoken("question.wav"), silence(1))
    page.get_by_role("switch", name="Hands-free").check()
    page.locator("#answer").filter(has_text=ANSWER).wait_for()
    return page


def test_the_question_as_answered_stands_above_the_answer_in_its_text(answered, client, example_context):
    audio, rate = saved(answered, "Save question 1")
    heard = client.ask(audio, sample_rate=rate, context=example_context, outputs=["question"]).question
    quoted = answered.locator("#question").text_content()
    assert quoted[1:-1] == heard  # between quotation marks
    assert answered.locator("#caption").text_content() == ""
    assert answered.locator("#backdrop mark").text_content() == ANSWER
    assert float(answered.locator("#score").text_content().split()[1]) > 0.5


def test_the_answer_plays_by_itself_and_is_what_the_server_says(answered, client, example_context):
    until(answered, "player.currentTime > 0")
    question, rate = saved(answered, "Save question 1")
    (heard,) = client.ask_stream(question, sample_rate=rate, context=example_context)  # short, and so not cut
    audio, rate = saved(answered, "Save answer 1")
    assert (heard.answer, rate) == (ANSWER, heard.sample_rate)
    np.testing.assert_allclose(audio, heard.answer_audio, atol=2e-3)
    (link,) = answered.get_by_role("link", name="Save answer 1").all()
    assert answered.evaluate("player.src") == link.get_attribute("href")


def test_the_question_can_be_heard_again(answered):
    until(answered, "player.ended")
    answered.get_by_role("button", name="Play question 1").click()
    until(answered, "!player.paused && player.currentTime > 0")


def test_sound_and_time_are_shown(answered):
    answered.get_by_text("Sound and time").click()
    answered.locator("#steps").wait_for()
    steps = answered.locator("#steps tbody th").all_text_contents()
    assert steps[0] == "speech features" and "waveglow" in steps
    for name in ("question-wave", "mel", "answer-wave"):
        colours = answered.evaluate(
            """(id) => {
                const canvas = document.getElementById(id);
                const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                return new Set(new Uint32Array(pixels.buffer)).size;
            }""",
            name,
        )
        assert colours > 1, name


def test_nothing_hinders_a_screen_reader(answered):
    answered.evaluate("details.open = true")
    for scheme in ("light", "dark"):
        answered.emulate_media(color_scheme=scheme)
        found = Axe().run(answered).response["violations"]
        assert [(one["id"], one["impact"]) for one in found if one["impact"] in ("serious", "critical")] == []


def test_words_appear_while_the_space_bar_is_held_and_letting_go_asks(open_page):
    """A caption may mishear a word of a question that is not complete, so which words they are is not looked at."""
    page = open_page(silence(0.5), spoken("question.wav"), silence(5))
    page.locator("h1").click()
    page.keyboard.down("Space")
    page.get_by_role("button", name="Listening").wait_for()
    until_it_was_said(page)
    assert page.locator("#answer-panel").is_hidden() and page.locator("#status").text_content() == ""
    page.keyboard.up("Space")
    page.locator("#answer").filter(has_text=ANSWER).wait_for()
    assert page.locator("#caption").text_content() == ""
    assert page.get_by_role("button", name="Hold to talk").is_visible()


def test_a_space_in_the_text_is_a_space(open_page):
    page = open_page(silence(1))
    page.get_by_label("Text to answer from").fill("two")
    page.get_by_label("Text to answer from").press("Space")
    assert page.get_by_label("Text to answer from").input_value() == "two "
    assert page.get_by_role("button", name="Hold to talk").is_visible()


def test_every_control_is_reached_with_the_tabulator_key(open_page):
    page = open_page(silence(1))
    page.locator("h1").click()
    reached = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"API", "examples", "open-text", "text", "talk", "hands-free", "open-recording"} <= reached


def test_the_keyboard_alone_asks_a_question(open_page):
    """Enter on the button begins and ends, as a screen reader does it."""
    page = open_page(silence(0.5), spoken("question.wav"), silence(5))
    page.get_by_role("button", name="Hold to talk").focus()
    page.keyboard.press("Enter")
    until_it_was_said(page)
    page.keyboard.press("Enter")
    page.locator("#answer").filter(has_text=ANSWER).wait_for()


def test_a_recording_can_be_uploaded(open_page, examples):
    page = open_page(silence(1))
    choose_example(page, "What is the highest mountain on Earth?")
    page.locator("#recording-file").set_input_files(examples / "everest.flac")
    page.locator("#answer").filter(has_text="Mount Everest").wait_for()


def test_a_question_that_the_text_does_not_answer_says_so(open_page, examples):
    page = open_page(silence(1))
    choose_example(page, "Who was the first man on the moon?")
    page.locator("#recording-file").set_input_files(examples / "bread.flac")
    page.get_by_text("The text has no answer to this.").wait_for()
    page.get_by_role("button", name="Stop speaking").wait_for()  # the fallback is spoken, in chunks
    assert page.locator("#backdrop mark").count() == 0


def test_the_span_is_right_after_letters_beyond_16_bits(open_page, examples):
    page = open_page(silence(1))
    page.get_by_label("Text to answer from").fill(
        "\N{EARTH GLOBE EUROPE-AFRICA}\N{SNOW CAPPED MOUNTAIN} Mount Everest is the highest mountain on Earth."
    )
    page.locator("#recording-file").set_input_files(examples / "everest.flac")
    page.locator("#answer").filter(has_text="Mount Everest").wait_for()
    assert page.locator("#backdrop mark").text_content() == "Mount Everest"


def test_a_text_can_be_dropped(open_page):
    page = open_page(silence(1))
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["A dropped text."], "text.txt", {type: "text/plain"}));
            const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true});
            document.getElementById("text-panel").dispatchEvent(drop);
        }"""
    )
    page.get_by_text("15 of 32,768 bytes").wait_for()
    assert page.get_by_label("Text to answer from").input_value() == "A dropped text."


def test_speaking_again_stops_the_answer_and_asks_the_next_question(open_page):
    page = open_page(silence(1), spoken("question.wav"), silence(8), spoken("question.wav"), silence(1))
    page.evaluate("player.loop = true")  # an answer that is still playing when one speaks again
    page.get_by_role("switch", name="Hands-free").check()
    until(page, "!player.paused && player.currentTime > 0")
    until(page, "player.paused")
    page.get_by_role("link", name="Save answer 2").wait_for()
    page.get_by_role("switch", name="Hands-free").uncheck()
    page.wait_for_timeout(500)
    assert page.locator("#status").text_content() == ""
