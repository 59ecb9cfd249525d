"""Measure streamed answers beside whole ones: the first sound, long texts and memory, and gaps of parallel streams.

python -m benchmarks.speed.streaming --json streaming.json
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from statistics import median
from typing import Any

from benchmarks.options import add_json_option, add_server_options, build_program_parser, write_json
from benchmarks.speed.measured_server import MEGABYTE, MeasuredServer, measure_pss, open_server
from benchmarks.speed.question_set import CONTEXTS, EXAMPLE
from convai.client.answer import AnswerChunk
from convai.client.audio_files import read_mono
from convai.client.client import ConvaiClient
from convai.program import run_program
from convai.tables import format_table

WARM_UP_CHARACTERS = 2_000
PARALLEL_CHARACTERS = 1_200  # of each text that is streamed in parallel
WHOLE_CHARACTERS = 400  # near the limit of `text_to_speech`
CHARACTERS_PER_SECOND = 14  # of the default voice
# Names that the example question asks for, so that answers are short or long.
SHORT, LONG = "answers of up to 8 words", "answers above 8 words"
NAMES = {
    SHORT: ("the king of the waltz", "the father of the modern computer", "England's national poet"),
    LONG: (
        "the old man of the mountains of northern Italy and southern Switzerland",
        "the wise woman of the valleys of western Norway and northern Sweden",
        "the architect of the largest bridge between the two islands in the south of the Baltic Sea",
    ),
}


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.speed.streaming", __doc__)
    parser.add_argument("--rounds", type=int, default=15, help="pairs of whole and streamed, default %(default)s")
    parser.add_argument("--characters", type=int, default=10_000, help="of the long text, default %(default)s")
    parser.add_argument("--streams", type=int, default=8, help="parallel streams, default %(default)s")
    add_server_options(parser)
    add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    with (
        open_server(args.server, args.model_repository, args.profile) as server,
        ConvaiClient(server.address) as client,
    ):
        list(client.speak_stream(take_prose(WARM_UP_CHARACTERS)))
        first_sounds = [measure_texts(client, args.rounds), *measure_answers(client, args.rounds)]
        print(format_first_sounds(first_sounds))
        long_text = measure_long_text(client, server, args.characters)
        parallel = measure_parallel(client, args.streams)
    for figures in (long_text, parallel):
        print("\n" + ", ".join(f"{name}: {value}" for name, value in figures.items()))
    write_json(args.json, {"first_sounds": first_sounds, "long_text": long_text, "parallel": parallel})


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def format_first_sounds(first_sounds: list[dict[str, Any]]) -> str:
    rows = [
        [
            one["name"],
            str(one["pairs"]),
            f"{1000 * one['whole_seconds']:.0f}",
            f"{1000 * one['first_seconds']:.0f}",
            f"{one['ratio']:.2f}",
        ]
        for one in first_sounds
    ]
    return format_table(["first sound [ms]", "pairs", "whole", "first chunk", "ratio"], rows)


def take_prose(characters: int, start: int = 0) -> str:
    """Return at most `characters` characters of the contexts, from paragraph `start` on, to the end of a word."""
    paragraphs = CONTEXTS.read_text().strip().split("\n\n")
    start %= len(paragraphs)
    rotated = paragraphs[start:] + paragraphs[:start]
    text = "".join(islice((char for part in cycle(rotated) for char in f"{part}\n\n"), characters))
    return text.rpartition(" ")[0]


def measure_texts(client: ConvaiClient, rounds: int) -> dict[str, Any]:
    texts = [take_prose(WHOLE_CHARACTERS, start).replace("\n", " ") for start in range(8)]
    pairs = [
        (time_call(partial(client.speak, text)), time_first_chunk(client.speak_stream(text))[0])
        for text in islice(cycle(texts), rounds)
    ]
    return summarise_pairs(f"a text of {WHOLE_CHARACTERS} characters", pairs)


def measure_answers(client: ConvaiClient, rounds: int) -> list[dict[str, Any]]:
    audio, sample_rate = read_mono(EXAMPLE)
    pairs: dict[str, list[tuple[float, float]]] = {}
    for names in NAMES.values():
        for name in islice(cycle(names), rounds):
            context = f'Johann was born in Vienna. He is often called "{name}".'
            arguments: dict[str, Any] = {"sample_rate": sample_rate, "context": context}
            whole_seconds = time_call(partial(client.ask, audio, **arguments))
            first_seconds, chunk = time_first_chunk(client.ask_stream(audio, **arguments))
            kind = LONG if len((chunk.answer or "").split()) > 8 else SHORT
            pairs.setdefault(kind, []).append((whole_seconds, first_seconds))
    return [summarise_pairs(kind, pairs[kind]) for kind in NAMES if kind in pairs]


def summarise_pairs(name: str, pairs: list[tuple[float, float]]) -> dict[str, Any]:
    """Return medians over pairs of seconds: of the whole answer, and of the first chunk of the same one streamed."""
    wholes, firsts = zip(*pairs, strict=True)
    return {
        "name": name,
        "pairs": len(pairs),
        "whole_seconds": median(wholes),
        "first_seconds": median(firsts),
        "ratio": median(first / whole for whole, first in pairs),
    }


def time_call(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def time_first_chunk(chunks: Iterator[AnswerChunk]) -> tuple[float, AnswerChunk]:
    """Return the seconds to the first chunk, and the chunk; the rest is consumed, or it would disturb the next call."""
    start = time.perf_counter()
    first = next(chunks)
    seconds = time.perf_counter() - start
    for _ in chunks:
        pass
    return seconds, first


def measure_long_text(client: ConvaiClient, server: MeasuredServer, characters: int) -> dict[str, Any]:
    """Stream a long text; sample the server's memory before, after a tenth of the text, and at its end."""
    samples = [measure_pss(server.list_processes())]
    speech_seconds, start = 0.0, time.perf_counter()
    for chunk in client.speak_stream(take_prose(characters)):
        speech_seconds += chunk.seconds
        if len(samples) == 1 and speech_seconds > characters / 10 / CHARACTERS_PER_SECOND:
            samples.append(measure_pss(server.list_processes()))
    seconds = time.perf_counter() - start
    samples.append(measure_pss(server.list_processes()))
    return {
        "characters": characters,
        "speech_seconds": round(speech_seconds, 1),
        "speech_seconds_per_second": round(speech_seconds / seconds, 1),
        "pss_megabytes": [round(pss_bytes / MEGABYTE) for pss_bytes in samples if pss_bytes],
    }


def measure_parallel(client: ConvaiClient, streams: int) -> dict[str, Any]:
    """Play every stream from its first chunk on; a gap is a chunk that comes after the one before has been played."""
    with ThreadPoolExecutor(streams) as pool:
        texts = [take_prose(PARALLEL_CHARACTERS, number) for number in range(streams)]
        played = list(pool.map(partial(record_arrivals, client), texts))
    ahead = [seconds for arrivals in played for seconds in compute_seconds_ahead(arrivals)]
    return {
        "streams": streams,
        "slowest_first_seconds": round(max(arrivals[0][0] for arrivals in played), 2),
        "gaps": sum(seconds < 0 for seconds in ahead),
        "least_seconds_ahead": round(min(ahead), 2),
    }


def record_arrivals(client: ConvaiClient, text: str) -> list[tuple[float, AnswerChunk]]:
    start = time.perf_counter()
    return [(time.perf_counter() - start, chunk) for chunk in client.speak_stream(text)]


def compute_seconds_ahead(arrivals: list[tuple[float, AnswerChunk]]) -> Iterator[float]:
    """Yield the sound left to play when each chunk after the first arrives; below 0 for a gap."""
    (played_until, first), *others = arrivals
    played_until += first.seconds
    for arrived, chunk in others:
        yield played_until - arrived
        played_until = max(played_until, arrived) + chunk.seconds


if __name__ == "__main__":
    sys.exit(main())
