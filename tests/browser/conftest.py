"""A real browser with a microphone that plays a recording, at the page of a real `convai talk`."""

import shutil
import tempfile
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import soundfile
from support.browser_steps import MICROPHONE_RATE, WAIT_MILLISECONDS, until
from support.places import EXAMPLES
from support.talk_process import TalkProcess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="session")
def talk(server):
    with TalkProcess(f"--server={server.grpc_address}") as process:
        yield process


@pytest.fixture(scope="session")
def playwright():
    if CHROMIUM is None:
        pytest.skip("no Chromium; `apt-get install chromium` brings it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def examples():
    return EXAMPLES


@contextmanager
def browsers(playwright):
    """Opens browsers whose microphone plays the given sounds once and then is silent."""
    with tempfile.TemporaryDirectory() as folder:
        opened = []

        def open_browser(*sounds, is_allowed=True):
            file = f"{folder}/{len(opened)}.wav"
            soundfile.write(file, np.concatenate(sounds), MICROPHONE_RATE, subtype="PCM_16")
            permission = ["--use-fake-ui-for-media-stream"] if is_allowed else ["--deny-permission-prompts"]
            microphone = f"--use-file-for-fake-audio-capture={file}%noloop"
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM, args=["--headless=new", *OPTIONS, *permission, microphone]
            )
            opened.append(browser)
            return browser

        yield open_browser
        for browser in opened:
            browser.close()


@contextmanager
def page_in(browser, url):
    """The page, which must ask nothing of any other host and raise nothing."""
    context = browser.new_context()
    context.set_default_timeout(WAIT_MILLISECONDS)
    page = context.new_page()
    errors, elsewhere = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: request.url.startswith((url, "blob:")) or elsewhere.append(request.url))
    page.goto(url)
    until(page, "document.getElementById('examples').options.length > 1")
    yield page
    assert (errors, elsewhere) == ([], [])
    context.close()


@contextmanager
def pages(playwright, talk):
    """Opens the page in a browser of its own that hears the given sounds."""
    with browsers(playwright) as open_browser, ExitStack() as stack:

        def open_page(*sounds, url=talk.url, is_allowed=True):
            return stack.enter_context(page_in(open_browser(*sounds, is_allowed=is_allowed), url))

        yield open_page


@pytest.fixture
def open_page(playwright, talk):
    with pages(playwright, talk) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def open_pages(playwright, talk):
    """As `open_page`, for a page that several tests look at."""
    with pages(playwright, talk) as open_page:
        yield open_page


@pytest.fixture
def open_pages_together(playwright, talk):
    """Opens pages in one browser, each in a context of its own: people who share nothing but the server."""
    with browsers(playwright) as open_browser, ExitStack() as stack:

        def open_pages(*sounds, number):
            browser = open_browser(*sounds)
            return [stack.enter_context(page_in(browser, talk.url)) for _ in range(number)]

        yield open_pages
