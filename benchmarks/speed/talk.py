"""Measure what somebody at the page waits for: the answer after the end of speech, and captions while one speaks.

python -m benchmarks.speed.talk --questions 7

Chromium speaks the example question into the page again and again, from a recording that stands for its microphone.
After each answer the same recording is asked by gRPC, so that both are measured while the machine is equally busy.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import soxr

from convai.client import ConvaiClient
from convai.client.turns import TAIL_SECONDS
from convai.errors import InvalidArgument
from convai.package_data import packaged
from convai.program import run_program

EXAMPLES = packaged("client", "examples")
TIMELINE = packaged("benchmarks", "speed", "page_timeline.js")
MICROPHONE_RATE = 48_000
GAP_SECONDS = 10.0  # of silence between questions, for the answer and for the same by gRPC
RATIO_LIMIT, EXTRA_LIMIT_SECONDS, AGE_LIMIT_SECONDS = 1.15, 0.03, 0.5  # the bars
CHROMIUM_OPTIONS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


@dataclass(frozen=True)
class TalkFigures:
    """
    page_seconds : from the end of speech, as the page is told of it, to the first byte of the answer's audio
    grpc_seconds : of the same request by gRPC
    caption_age_seconds : how old the newest caption was at most while the question was spoken
    """

    page_seconds: list[float]
    grpc_seconds: list[float]
    caption_age_seconds: list[float]

    @property
    def limit_seconds(self) -> float:
        return RATIO_LIMIT * median(self.grpc_seconds) + EXTRA_LIMIT_SECONDS

    def text(self) -> str:
        page, grpc, age = map(median, (self.page_seconds, self.grpc_seconds, self.caption_age_seconds))
        return (
            f"medians over {len(self.page_seconds)} questions\n"
            f"end of speech to the answer's audio  {1000 * page:6.0f} ms at the page, {1000 * grpc:.0f} ms by gRPC; "
            f"allowed {1000 * self.limit_seconds:.0f} ms\n"
            f"age of the newest caption, at most   {1000 * age:6.0f} ms; allowed {1000 * AGE_LIMIT_SECONDS:.0f} ms"
        )


def main(argv: list[str] | None = None) -> int:
    return run_program(parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    from benchmarks.speed.measured_server import measured_server

    with measured_server(args.server, args.model_repository, args.profile) as server:
        figures = measure(server.address, args.questions)
    print(figures.text())
    if args.json:
        args.json.write_text(json.dumps(asdict(figures), indent=2) + "\n")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="talk", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=7, help="how many, default %(default)s")
    parser.add_argument("--server", metavar="HOST:PORT", help="measure a running server (default: start one)")
    parser.add_argument("--model-repository", type=Path, default=Path("model_repository"), metavar="FOLDER")
    parser.add_argument("--profile", default="cpu", help="default %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    return parser


def measure(address: str, questions: int) -> TalkFigures:
    figures = TalkFigures([], [], [])
    with page_hearing(address, spoken(questions)) as page, ConvaiClient(address) as client:
        context = page.locator("#text").input_value()
        page.locator("#hands-free").check()
        for number in range(1, questions + 1):
            page.locator("#history > li").nth(number - 1).wait_for(timeout=60_000)
            timeline = page.evaluate("timeline")
            figures.page_seconds.append(answer_seconds(timeline))
            figures.caption_age_seconds.append(caption_age_seconds(timeline))
            figures.grpc_seconds.append(grpc_seconds(client, *question_of(page, number), context))
    return figures


def spoken(questions: int) -> np.ndarray:
    """Example questions, after silences; float32 at the microphone's rate."""
    audio, rate = soundfile.read(EXAMPLES / "question.wav", dtype="float32")
    gap = np.zeros(int(GAP_SECONDS * MICROPHONE_RATE), np.float32)
    return np.concatenate([*[gap, soxr.resample(audio, rate, MICROPHONE_RATE)] * questions, gap])


@contextmanager
def page_hearing(address: str, sound: np.ndarray) -> Iterator:
    """The page in Chromium, whose microphone plays `sound` once it is opened."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise InvalidArgument("this needs a browser; `apt-get install chromium` brings one")
    with tempfile.TemporaryDirectory() as folder, talk(address) as url, sync_playwright() as playwright:
        soundfile.write(f"{folder}/microphone.wav", sound, MICROPHONE_RATE, subtype="PCM_16")
        microphone = f"--use-file-for-fake-audio-capture={folder}/microphone.wav%noloop"
        browser = playwright.chromium.launch(executable_path=chromium, args=[*CHROMIUM_OPTIONS, microphone])
        page = browser.new_page()
        page.add_init_script(path=TIMELINE)
        page.goto(url)
        page.locator("#hint").filter(has_text="Ask").wait_for()
        yield page
        browser.close()


@contextmanager
def talk(address: str) -> Iterator[str]:
    """`convai talk` before the server at `address`; its page's address."""
    command = [sys.executable, "-m", "convai", "talk", f"--server={address}", "--port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None  # a pipe, as asked for
        url = next((line.split()[1] for line in process.stdout if line.startswith("page")), None)
        if url is None:
            raise OSError("`convai talk` did not start; it has said why")
        yield url
    finally:
        process.terminate()
        process.wait()


def answer_seconds(timeline: list[dict]) -> float:
    """From the last end of speech to the first audio after the answer's words."""
    kinds = [event["type"] for event in timeline]
    answered = len(kinds) - 1 - kinds[::-1].index("answered")
    audio = answered + kinds[answered:].index("binary")
    ended = answered - 1 - kinds[answered - 1 :: -1].index("speech_ended")
    return timeline[audio]["at_seconds"] - timeline[ended]["at_seconds"]


def caption_age_seconds(timeline: list[dict]) -> float:
    """The most that the newest caption, or none yet, lagged behind the last question while it was spoken."""
    # The page may have begun to listen several times; seconds are those of the last listening.
    begin = max(index for index, event in enumerate(timeline) if event["type"] == "start")
    sent = [event for event in timeline[begin:] if event["type"] == "samples"]
    heard_seconds = np.cumsum([event["count"] for event in sent]) / timeline[begin]["sample_rate"]
    sent_seconds = np.array([event["at_seconds"] for event in sent])

    def spoken_at(stream_seconds: float) -> float:
        return float(np.interp(stream_seconds, heard_seconds, sent_seconds))

    started = max(index for index, event in enumerate(timeline) if event["type"] == "speech_started")
    (ended,) = [event for event in timeline[started:] if event["type"] == "speech_ended"]
    captions = [event for event in timeline[started:] if event["type"] == "caption"]
    end = spoken_at(ended["end_seconds"] - TAIL_SECONDS)
    known = [timeline[started]["start_seconds"], *(caption["heard_until_seconds"] for caption in captions)]
    shown = [*(min(caption["at_seconds"], end) for caption in captions), end]
    return max(until - spoken_at(heard) for heard, until in zip(known, shown, strict=True))


def question_of(page, number: int) -> tuple[np.ndarray, int]:
    """A question as the page got it back: float32, shape = (samples,), and its rate."""
    with page.expect_download() as download:
        page.get_by_role("link", name=f"Save question {number}").click()
    return soundfile.read(download.value.path(), dtype="float32")


def grpc_seconds(client: ConvaiClient, audio: np.ndarray, sample_rate: int, context: str) -> float:
    start = time.perf_counter()
    client.ask(audio, sample_rate=sample_rate, context=context)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
