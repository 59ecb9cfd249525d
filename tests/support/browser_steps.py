"""Steps of the tests at the page: sounds for the microphone, and actions that take several clicks."""

import io
import time

import numpy as np
import soundfile
import soxr

from support.places import EXAMPLES

MICROPHONE_RATE = 48_000  # what browsers give
WAIT_MILLISECONDS = 60_000


def read_question(name="question.wav"):
    """An example question at the microphone's rate."""
    audio, rate = soundfile.read(EXAMPLES / name, dtype="float32")
    return soxr.resample(audio, rate, MICROPHONE_RATE)


def silence(seconds):
    return np.zeros(int(seconds * MICROPHONE_RATE), np.float32)


def switch_hands_free(page):
    """Only a click: `check` would fail if the page switches it off again."""
    page.get_by_role("switch", name="Hands-free").click()


def upload(page, file=EXAMPLES / "question.wav"):
    page.locator("#recording-file").set_input_files(file)


def until(page, condition):
    """Wait until a JavaScript expression holds. Playwright's own way needs `eval`, which the page's policy forbids."""
    deadline = time.monotonic() + WAIT_MILLISECONDS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never came true: {condition}"
        page.wait_for_timeout(20)


def wait_for_end_of_speech(page):
    """Wait until words are shown, and then until the microphone is silent."""
    until(page, "caption.textContent !== ''")
    until(page, "level.style.transform === 'scaleX(0)'")


def wait_for_answer(page, words):
    page.locator(".latest .answer").filter(has_text=words).wait_for()


def wait_for_whole_answer(page, number=1):
    page.get_by_label(f"The spoken answer {number}").wait_for()


def wait_for_state(page, *names):
    page.locator(",".join(f"#talk[data-state={name}]" for name in names)).wait_for()


def wait_for_alarm(page, words):
    page.get_by_role("alert").filter(has_text=words).wait_for()


def save(page, name):
    """Download a recording of the conversation by its link: float32 samples and their rate."""
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    with page.expect_download() as download:
        page.get_by_role("link", name=name).click()
    return soundfile.read(io.BytesIO(download.value.path().read_bytes()), dtype="float32")
