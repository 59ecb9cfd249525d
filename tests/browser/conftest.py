"""A real browser with a microphone that plays a recording, at the page of a real `convai talk`."""

import shutil
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import soundfile
from support.browser_steps import MICROPHONE_RATE, WAIT_MILLISECONDS, until
from support.talk_process import TalkProcess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = [
    "--headless=new",
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
        pytest.skip("Chromium is not installed; `apt-get install chromium` installs it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright


@contextmanager
def browser_with(playwright, file, sounds, is_allowed):
    """A browser whose microphone plays `sounds` once, from `file`, and then silence."""
    soundfile.write(file, np.concatenate(sounds), MICROPHONE_RATE, subtype="PCM_16")
    permission = "--use-fake-ui-for-media-stream" if is_allowed else "--deny-permission-prompts"
    microphone = f"--use-file-for-fake-audio-capture={file}%noloop"
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS, permission, microphone])
    yield browser
    browser.close()


@contextmanager
def page_in(browser, url):
    """The page, which must load nothing from other hosts and raise nothing."""
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
def opener(playwright, talk, folder):
    """A function that opens pages in a browser of their own, each in its own context, and returns them."""
    with ExitStack() as stack:

        def open_pages(*sounds, number=1, url=talk.url, is_allowed=True):
            browser = stack.enter_context(browser_with(playwright, folder / "microphone.wav", sounds, is_allowed))
            return [stack.enter_context(page_in(browser, url)) for _ in range(number)]

        yield open_pages


@pytest.fixture
def open_browser(playwright, tmp_path):
    """A function that opens a browser whose microphone plays these sounds."""
    with ExitStack() as stack:
        yield lambda *sounds: stack.enter_context(browser_with(playwright, tmp_path / "microphone.wav", sounds, True))


@pytest.fixture
def open_pages(playwright, talk, tmp_path):
    with opener(playwright, talk, tmp_path) as open_pages:
        yield open_pages


@pytest.fixture
def open_page(open_pages):
    return lambda *sounds, **options: open_pages(*sounds, **options)[0]


@pytest.fixture(scope="module")
def open_shared_page(playwright, talk, tmp_path_factory):
    """As `open_page`, for a page that several tests look at."""
    with opener(playwright, talk, tmp_path_factory.mktemp("microphone")) as open_pages:
        yield lambda *sounds: open_pages(*sounds)[0]
