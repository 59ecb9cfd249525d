"""What `streaming` measures, and how it is told."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from statistics import median
from typing import Any

from benchmarks.speed.measured_server import MeasuredServer
from benchmarks.speed.question_set import CONTEXTS, EXAMPLE
from benchmarks.tables import as_table
from convai.client.answer import AnswerChunk
from convai.client.audio_files import read_mono
from convai.client.client import ConvaiClient

WARM_UP_CHARACTERS = 2_000
PLAYED_CHARACTERS = 1_200  # of each of the texts that play at once
WHOLE_CHARACTERS = 400  # about what `text_to_speech` takes
# What the example question asks for, in contexts that answer it in few words and in many.
SHORT, LONG = "answers of up to 8 words", "answers above 8 words"
CALLED = {
    SHORT: ("the king of the waltz", "the father of the modern computer", "England's national poet"),
    LONG: (
        "the old man of the mountains of northern Italy and southern Switzerland",
        "the wise woman of the valleys of western Norway and northern Sweden",
        "the architect of the largest bridge between the two islands in the south of the Baltic Sea",
    ),
}


@dataclass(frozen=True)
class FirstSound:
    """Medians over pairs of calls, one after the other, of which one brings everything at once."""

    name: str
    pairs: int
    whole_seconds: float
    first_seconds: float
    ratio: float


@dataclass(frozen=True)
class LongText:
    """
    Attributes
    ----------
    megabytes : what all processes of the server hold before, after a tenth of the text, and at its end
    """

    characters: int
    speech_seconds: float
    real_time_factor: float
    megabytes: tuple[float, ...]


@dataclass(frozen=True)
class Playing:
    """Streams that play at once, each from its first chunk on.

    Attributes
    ----------
    gaps : chunks that were not there when the one before had been played
    least_seconds_ahead : sound that was still to be played when the next chunk came, where it was least
    """

    streams: int
    slowest_first_seconds: float
    gaps: int
    least_seconds_ahead: float


@dataclass(frozen=True)
class Report:
    first_sounds: tuple[FirstSound, ...]
    long_text: LongText
    playing: Playing

    def text(self) -> str:
        lines = [["first sound [ms]", "pairs", "whole", "first chunk", "ratio"]]
        for one in self.first_sounds:
            times = (f"{1000 * seconds:.0f}" for seconds in (one.whole_seconds, one.first_seconds))
            lines.append([one.name, str(one.pairs), *times, f"{one.ratio:.2f}"])
        long, playing = self.long_text, self.playing
        memory = " -> ".join(f"{megabytes:.0f}" for megabytes in long.megabytes) or "unknown"
        return "\n".join(
            (
                as_table(lines),
                f"{long.characters} characters: {long.speech_seconds:.0f} s of speech,"
                f" {long.real_time_factor:.1f} s of speech per second, memory {memory} MB",
                f"{playing.streams} streams at once: {playing.gaps} gaps, at least"
                f" {playing.least_seconds_ahead:.2f} s ahead, first sound within {playing.slowest_first_seconds:.2f} s",
            )
        )


def measure(server: MeasuredServer, rounds: int, characters: int, streams: int) -> Report:
    with ConvaiClient(server.address) as client:
        list(client.speak_stream(text_of(WARM_UP_CHARACTERS)))  # memory is fetched, and each process has run once
        return Report(
            (first_sound_of_text(client, rounds), *first_sounds_of_answers(client, rounds)),
            long_text(client, server, characters),
            playing(client, streams),
        )


def text_of(characters: int, start: int = 0) -> str:
    """About so many characters of prose, to the end of a word; from paragraph `start` on."""
    paragraphs = CONTEXTS.read_text().strip().split("\n\n")
    rotated = paragraphs[start % len(paragraphs) :] + paragraphs[: start % len(paragraphs)]
    text = "".join(islice((char for part in cycle(rotated) for char in f"{part}\n\n"), characters))
    return text.rpartition(" ")[0]


def first_sound_of_text(client: ConvaiClient, rounds: int) -> FirstSound:
    texts = [text_of(WHOLE_CHARACTERS, start).replace("\n", " ") for start in range(8)]
    pairs = [
        (seconds_of(partial(client.speak, text)), first_chunk(client.speak_stream(text))[0])
        for text in islice(cycle(texts), rounds)
    ]
    return first_sound(f"a text of {WHOLE_CHARACTERS} characters", pairs)


def first_sounds_of_answers(client: ConvaiClient, rounds: int) -> Iterator[FirstSound]:
    audio, sample_rate = read_mono(EXAMPLE)
    pairs: dict[str, list[tuple[float, float]]] = {}
    for names in CALLED.values():
        for name in islice(cycle(names), rounds):
            asked: Any = {
                "sample_rate": sample_rate,
                "context": f'Johann was born in Vienna. He is often called "{name}".',
            }
            whole_seconds = seconds_of(partial(client.ask, audio, **asked))
            first_seconds, chunk = first_chunk(client.ask_stream(audio, **asked))
            kind = LONG if len((chunk.answer or "").split()) > 8 else SHORT
            pairs.setdefault(kind, []).append((whole_seconds, first_seconds))
    return (first_sound(kind, pairs[kind]) for kind in CALLED if kind in pairs)


def first_sound(name: str, pairs: list[tuple[float, float]]) -> FirstSound:
    wholes, firsts = zip(*pairs, strict=True)
    return FirstSound(name, len(pairs), median(wholes), median(firsts), median(first / whole for whole, first in pairs))


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def first_chunk(chunks: Iterator[AnswerChunk]) -> tuple[float, AnswerChunk]:
    """The first chunk and the seconds it took; the others are awaited too, or they would disturb what is asked next."""
    start = time.perf_counter()
    first = next(chunks)
    took = time.perf_counter() - start
    for _ in chunks:
        pass
    return took, first


def long_text(client: ConvaiClient, server: MeasuredServer, characters: int) -> LongText:
    held = [server.memory()]
    speech_seconds, start = 0.0, time.perf_counter()
    for chunk in client.speak_stream(text_of(characters)):
        speech_seconds += chunk.seconds
        if len(held) == 1 and speech_seconds > characters / 10 / 14:  # some 14 characters are spoken per second
            held.append(server.memory())
    took = time.perf_counter() - start
    held.append(server.memory())
    megabytes = tuple(memory.pss_bytes / 1e6 for memory in held if memory)
    return LongText(characters, speech_seconds, speech_seconds / took, megabytes)


def playing(client: ConvaiClient, streams: int) -> Playing:
    with ThreadPoolExecutor(streams) as pool:
        played = list(pool.map(lambda number: arrivals(client, text_of(PLAYED_CHARACTERS, number)), range(streams)))
    ahead = [seconds for arrived in played for seconds in seconds_ahead(arrived)]
    return Playing(streams, max(arrived[0][0] for arrived in played), sum(one < 0 for one in ahead), min(ahead))


def arrivals(client: ConvaiClient, text: str) -> list[tuple[float, AnswerChunk]]:
    start = time.perf_counter()
    return [(time.perf_counter() - start, chunk) for chunk in client.speak_stream(text)]


def seconds_ahead(arrived: list[tuple[float, AnswerChunk]]) -> Iterator[float]:
    """For each chunk but the first, how much sound was still to be played when it came; below 0 for a gap."""
    (played_until, first), *others = arrived
    played_until += first.seconds
    for when, chunk in others:
        yield played_until - when
        played_until = max(played_until, when) + chunk.seconds
