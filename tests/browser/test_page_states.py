"""Every state of the page, driven by a fake server in the browser."""

import base64
import json
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from support.browser_steps import silence, until
from support.places import EXAMPLES

from convai.talk.app import CONTENT_SECURITY_POLICY, PAGE

TEXT = "Louis Armstrong is often called the great ambassador of American music. " + "a" * 300

SETTINGS = {
    "examples": [
        {"title": "Armstrong", "question": "What is he called?", "context": TEXT, "audio": "/examples/question.wav"},
    ],
    "needs_key": False,
    "max_context_bytes": 32_768,
    "max_question_seconds": 30,
    "max_upload_bytes": 1_000_000,
    "recogniser": "Jasper",
}
SHORT = {"question": "what is he called", "answer": "American music", "answer_score": 0.93, "answer_span": [56, 70]}
LONG = SHORT | {"answer": "a" * 300, "answer_span": [72, 372]}
SOUND = (np.sin(np.arange(22_050) / 20) * 8000).astype("<i2").tobytes()
MEL = bytes(80 * 86)
POLICY = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}

# The microphone is there once `allow` has been called.
ASK_FIRST = """() => {
    const allowed = new Promise((resolve) => { window.allow = resolve; });
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = (wanted) => allowed.then(() => open(wanted));
}"""


class Files(SimpleHTTPRequestHandler):
    """Serves the microphone's script, whose request Playwright cannot answer."""

    def log_message(self, *arguments):
        pass


class FakeServer:
    """Answers /v1/ask and the page's latest /v1/listen, whose messages the test sends."""

    def __init__(self, context):
        self.status = 200
        context.route("**/", lambda route: route.fulfill(path=PAGE / "index.html", headers=POLICY))
        context.route("**/page/*", lambda route: route.fulfill(path=PAGE / route.request.url.split("/")[-1]))
        context.route("**/page.json", lambda route: route.fulfill(json=SETTINGS))
        context.route("**/examples/*", lambda route: route.fulfill(path=EXAMPLES / route.request.url.split("/")[-1]))
        context.route("**/v1/ask", self.ask)
        context.route_web_socket("**/v1/listen", self.connect)

    def ask(self, route):
        self.asked = route.request.post_data
        route.fulfill(status=self.status, json=SHORT | {"answer_audio": base64.b64encode(SOUND).decode()})

    def connect(self, socket):
        self.socket, self.ended = socket, False
        socket.on_message(self.take)

    def take(self, message):
        self.ended |= message == '{"end":true}'

    def send(self, kind, *binaries, **fields):
        self.socket.send(json.dumps({"type": kind, **fields}))
        for binary in binaries:
            self.socket.send(binary)

    def hear(self, words):
        self.send("speech_started", start_seconds=0)
        self.send("caption", text=words)

    def answer(self, is_last=True):
        self.send("answered", SOUND, MEL, sample_rate=22_050, is_last=is_last, **LONG)


@pytest.fixture(scope="module")
def files():
    """The port of a server for the microphone's script."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=PAGE.parent)) as server:
        Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def page_at(browser, url, width=1200):
    context = browser.new_context(viewport={"width": width, "height": 800})
    context.set_default_timeout(20_000)
    server = FakeServer(context)
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    until(page, "document.getElementById('examples').options.length > 1")
    yield page, server
    assert errors == []
    context.close()


@pytest.fixture
def browser(open_browser):
    return open_browser(silence(1))


def walk_through_states(page, server):
    """Yield the name of each state while the page is in it."""
    talk = page.locator("#talk")

    def reach(state):
        page.locator(f"#talk[data-state={state}]").wait_for()
        return state

    yield reach("idle")
    page.evaluate(ASK_FIRST)
    page.get_by_role("switch", name="Hands-free").click()
    yield reach("opening")
    page.evaluate("allow()")
    yield reach("listening")
    server.hear("what is he called and " + "o" * 200)
    yield reach("recognising")
    server.send("speech_ended", SOUND, sample_rate=16_000, start_seconds=0, end_seconds=1)
    yield reach("looking")
    server.answer(is_last=False)
    yield reach("speaking")
    server.send("chunk", SOUND, MEL, is_last=True)
    server.send("steps_timed", steps=[])
    page.keyboard.press("Escape")
    page.locator("summary").first.click()
    page.get_by_role("button", name="Upload a recording").focus()
    yield reach("idle")
    page.get_by_label("Your question, typed").fill("who")
    page.keyboard.press("Enter")
    reach("speaking")
    talk.click()
    yield reach("interrupted")
    server.status = 504
    page.get_by_label("Your question, typed").fill("who")
    page.keyboard.press("Enter")
    yield reach("failed")


def find_faults(page, rules=None):
    """What axe finds, and whether something lies beside the screen; the control must be on it."""
    options = {"runOnly": rules} if rules else {}
    found = [(one["id"], one["nodes"][0]["html"]) for one in Axe().run(page, options=options).response["violations"]]
    width = page.evaluate("document.documentElement.scrollWidth")
    talk, size = page.locator("#talk").bounding_box(), page.viewport_size
    is_within_reach = 0 <= talk["y"] <= size["height"] - talk["height"]
    return found + [f"{width} px wide"] * (width > size["width"]) + ["out of reach"] * (not is_within_reach)


def test_every_state_is_accessible_fits_the_screen_and_is_announced(browser, files):
    """In both themes and on a phone too, with an answer that has no spaces."""
    announced = set()
    with page_at(browser, f"http://localhost:{files}/") as (page, server):
        page.emulate_media(reduced_motion="reduce")
        for state in walk_through_states(page, server):
            announced.add(page.locator("#announcer").text_content())
            for width in (320, 1200):
                page.set_viewport_size({"width": width, "height": 800})
                for scheme, rules in [("light", None), ("dark", ["color-contrast"])]:
                    page.emulate_media(color_scheme=scheme)
                    assert (state, width, scheme, find_faults(page, rules)) == (state, width, scheme, [])
        # The last state is a failure: no older answer stands as the new one.
        assert page.locator("#backdrop mark").count() == 0
        assert page.locator(".latest .answer").text_content() == page.get_by_role("alert").text_content()
    assert len(announced) == 8


def test_a_page_without_a_microphone_says_why_and_takes_a_typed_question(browser):
    with page_at(browser, "http://page.test/", 390) as (page, server):
        page.get_by_text("There is no microphone here").wait_for()
        assert page.locator("#talk").is_disabled()
        page.get_by_label("Your question, typed").fill("who")
        page.get_by_role("button", name="Ask", exact=True).click()
        page.get_by_text("Very sure").wait_for()
        until(page, "document.querySelector('.latest audio').getBoundingClientRect().bottom < dock.offsetTop")
        assert '"question"' in server.asked and TEXT in server.asked
        page.get_by_role("button", name="Speaking").click()
        page.get_by_role("button", name="Edit question 1").click()
        page.get_by_role("textbox", name="Your question", exact=True).fill("what is he called")
        page.keyboard.press("Enter")
        page.get_by_label("The spoken answer 2").wait_for()
        assert "what is he called" in server.asked
