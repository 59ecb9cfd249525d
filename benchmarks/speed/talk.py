"""Measure what a user of the page waits for: the answer after the end of speech, and captions during speech.

python -m benchmarks.speed.talk --questions 7

Chromium speaks the example question into the page repeatedly, from a recording instead of a microphone. After each
answer the same recording is asked by gRPC, so that both are measured under the same load of the machine.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import soxr

from benchmarks.options import add_json_option, add_server_options, build_program_parser, write_json
from benchmarks.speed.measured_server import open_server
from benchmarks.speed.question_set import EXAMPLE
from convai.client import ConvaiClient
from convai.client.turns import TAIL_SECONDS, WINDOW_SECONDS, windows_in
from convai.errors import InvalidArgument
from convai.program import run_program

TIMELINE = Path(__file__).with_name("page_timeline.js")
MICROPHONE_RATE = 48_000
PAUSE_SECONDS = 0.7  # that the page has from the start
GAP_SECONDS = 10.0  # of silence between questions, for the answer and for the same question by gRPC
CHROMIUM_OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.speed.talk", __doc__)
    parser.add_argument("--questions", type=int, default=7, help="number of questions, default %(default)s")
    add_server_options(parser)
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    with open_server(args.server, args.model_repository, args.profile) as server:
        figures = measure(server.address, args.questions)
    sound, page, grpc, age = (1000 * median(seconds) for seconds in figures.values())
    print(f"medians over {args.questions} questions")
    print(f"last speech to the first sound        {sound:6.0f} ms, of which the pause is {1000 * PAUSE_SECONDS:.0f} ms")
    print(f"end of the pause to the answer        {page:6.0f} ms at the page; the question by gRPC {grpc:.0f} ms")
    print(f"greatest age of the newest caption    {age:6.0f} ms")
    write_json(args.json, figures)


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def measure(address: str, questions: int) -> dict[str, list[float]]:
    """Return the seconds of each question: to the first sound, to the answer, by gRPC, and the captions' age."""
    names = ("sound_seconds", "page_seconds", "grpc_seconds", "caption_age_seconds")
    figures: dict[str, list[float]] = {name: [] for name in names}
    with open_page(address, repeat_question(questions)) as page, ConvaiClient(address) as client:
        context = page.locator("#text").input_value()
        page.locator("#hands-free").check()
        for number in range(1, questions + 1):
            page.get_by_label(f"The spoken answer {number}", exact=True).wait_for(timeout=60_000)
            timeline = page.evaluate("readTimeline()")
            figures["sound_seconds"].append(compute_sound_seconds(timeline))
            figures["page_seconds"].append(compute_answer_seconds(timeline))
            figures["caption_age_seconds"].append(compute_caption_age_seconds(timeline))
            audio, sample_rate = download_question(page, number)
            start = time.perf_counter()
            client.ask(audio, sample_rate=sample_rate, context=context)
            figures["grpc_seconds"].append(time.perf_counter() - start)
    return figures


def repeat_question(questions: int) -> np.ndarray:
    """Return the example question repeated, after silences; float32, shape = (samples,), at the microphone's rate."""
    audio, rate = soundfile.read(EXAMPLE, dtype="float32")
    gap = np.zeros(int(GAP_SECONDS * MICROPHONE_RATE), np.float32)
    return np.concatenate([*[gap, soxr.resample(audio, rate, MICROPHONE_RATE)] * questions, gap])


@contextmanager
def open_page(address: str, sound: np.ndarray) -> Iterator:
    """Yield the page in Chromium, whose microphone plays `sound` once it is opened."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise InvalidArgument("no Chromium found; install it, for instance by `apt-get install chromium`")
    with tempfile.TemporaryDirectory() as folder, start_talk(address) as url, sync_playwright() as playwright:
        soundfile.write(f"{folder}/microphone.wav", sound, MICROPHONE_RATE, subtype="PCM_16")
        microphone = f"--use-file-for-fake-audio-capture={folder}/microphone.wav%noloop"
        browser = playwright.chromium.launch(executable_path=chromium, args=[*CHROMIUM_OPTIONS, microphone])
        page = browser.new_page()
        page.add_init_script(path=TIMELINE)
        page.goto(url)
        page.locator("#ask-example").wait_for()
        yield page
        browser.close()


@contextmanager
def start_talk(address: str) -> Iterator[str]:
    """Start `convai talk` for the server at `address`; yield the page's address."""
    command = [sys.executable, "-m", "convai", "talk", f"--server={address}", "--port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # a pipe, as requested above
        url = next((line.split()[1] for line in process.stdout if line.startswith("page")), None)
        if url is None:
            raise OSError("`convai talk` did not start; see its message above")
        yield url
    finally:
        process.terminate()
        process.wait()


def compute_sound_seconds(timeline: list[dict]) -> float:
    """Return the time from the last speech that the detector found to the first sound of the answer."""
    sent_at, last = make_clock(timeline), {event["type"]: event for event in timeline}
    speech_end = last["speech_ended"]["end_seconds"] - windows_in(TAIL_SECONDS) * WINDOW_SECONDS
    answered_at = last["answered"]["at_seconds"]
    sounds = [event["at_seconds"] for event in timeline if event["type"] == "sound"]
    return min(seconds for seconds in sounds if seconds >= answered_at) - sent_at(speech_end)


def compute_answer_seconds(timeline: list[dict]) -> float:
    """Return the time from the last end of a pause to the first audio after the answer's text."""
    kinds = [event["type"] for event in timeline]
    answered = len(kinds) - 1 - kinds[::-1].index("answered")
    audio = answered + kinds[answered:].index("binary")
    ended = answered - 1 - kinds[answered - 1 :: -1].index("speech_ended")
    return timeline[audio]["at_seconds"] - timeline[ended]["at_seconds"]


def compute_caption_age_seconds(timeline: list[dict]) -> float:
    """Return the greatest lag of the newest caption, or of none yet, behind the last question during speech."""
    sent_at = make_clock(timeline)
    started = max(index for index, event in enumerate(timeline) if event["type"] == "speech_started")
    (ended,) = [event for event in timeline[started:] if event["type"] == "speech_ended"]
    captions = [event for event in timeline[started:] if event["type"] == "caption"]
    end = sent_at(ended["end_seconds"] - windows_in(TAIL_SECONDS) * WINDOW_SECONDS)
    known = [timeline[started]["start_seconds"], *(caption["heard_until_seconds"] for caption in captions)]
    shown = [*(min(caption["at_seconds"], end) for caption in captions), end]
    return max(until - sent_at(covered) for covered, until in zip(known, shown, strict=True))


def make_clock(timeline: list[dict]) -> Callable[[float], float]:
    """Return the function from a position in the last session's audio to the time at which it was sent."""
    begin = max(index for index, event in enumerate(timeline) if event["type"] == "start")
    sent = [event for event in timeline[begin:] if event["type"] == "samples"]
    stream_seconds = np.cumsum([event["count"] for event in sent]) / timeline[begin]["sample_rate"]
    sent_seconds = [event["at_seconds"] for event in sent]
    return lambda seconds: float(np.interp(seconds, stream_seconds, sent_seconds))


def download_question(page, number: int) -> tuple[np.ndarray, int]:
    """Return a question as the page offers it for download: float32, shape = (samples,), and its rate in Hz."""
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    with page.expect_download() as download:
        page.get_by_role("link", name=f"Save question {number}", exact=True).click()
    return soundfile.read(download.value.path(), dtype="float32")


if __name__ == "__main__":
    sys.exit(main())
