"""What the tests at the page say and do: sounds for the microphone, and things that take several clicks."""

import io
import time

import numpy as np
import soundfile
import soxr

from support.places import EXAMPLES

MICROPHONE_RATE = 48_000  # what browsers give
WAIT_MILLISECONDS = 60_000


def spoken(name):
    """An example question at the microphone's rate."""
    audio, rate = soundfile.read(EXAMPLES / name, dtype="float32")
    return soxr.resample(audio, rate, MICROPHONE_RATE)


def silence(seconds):
    return np.zeros(int(seconds * MICROPHONE_RATE), np.float32)


def choose_example(page, question):
    page.locator("#examples").select_option(label=question)


def until(page, condition):
    """Wait until a JavaScript expression holds. Playwright's own way needs `eval`, which the page's policy forbids."""
    deadline = time.monotonic() + WAIT_MILLISECONDS / 1000
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"never came true: {condition}"
        page.wait_for_timeout(20)


def until_it_was_said(page):
    """Wait until words are shown, and then until the microphone hears nothing more."""
    until(page, "caption.textContent !== ''")
    until(page, "level.style.transform === 'scaleX(0)'")


def saved(page, name):
    """A recording of the conversation, as its link downloads it: float32 samples and their rate."""
    with page.expect_download() as download:
        page.get_by_role("link", name=name).click()
    return soundfile.read(io.BytesIO(download.value.path().read_bytes()), dtype="float32")
