"""How well a running server hears, by corpus, accent, speaker, noise and length: `convai evaluate speech`."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.quality.intervals import Interval, bootstrap_interval, rate, rate_difference
from benchmarks.quality.noise import (
    BABBLE,
    BABBLE_VOICES,
    KINDS,
    add_noise,
    babble,
    coloured_noise,
    resampled,
    signal_to_noise_decibels,
)
from benchmarks.quality.served import asked_of_all
from benchmarks.quality.word_errors import WordErrors, word_errors
from benchmarks.tables import Measurement
from convai.backends.steps.transcripts import spoken_form
from convai.client.audio_files import read_mono
from convai.client.client import ConvaiClient
from convai.errors import InvalidArgument
from training.common.recordings import Recording

MOST_SPEAKERS = 20  # so many get a line each


@dataclass(frozen=True)
class Noise:
    """Noise to add: of a kind, and the decibels by which the speech is louder."""

    decibels: float
    kind: str = "pink"
    seed: int = 0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InvalidArgument(f"kind of noise must be one of {', '.join(KINDS)}, got {self.kind!r}")


@dataclass(frozen=True)
class Heard:
    """One recording and what each recogniser made of it; `snr_decibels` is of the audio as it was sent."""

    recording: Recording
    corpus: str
    seconds: float
    snr_decibels: float
    by_recogniser: tuple[WordErrors, ...]


@dataclass(frozen=True)
class Ranges:
    """Names ranges of a figure by their bounds."""

    kind: str
    bounds: tuple[float, ...]
    unit: str

    def name_of(self, value: float) -> str:
        return self.names[bisect_right(self.bounds, value)]

    @property
    def names(self) -> list[str]:
        between = [f"{low:g} to {high:g}" for low, high in zip(self.bounds, self.bounds[1:], strict=False)]
        words = [f"below {self.bounds[0]:g}", *between, f"from {self.bounds[-1]:g}"]
        return [f"{self.kind} {word} {self.unit}" for word in words]


SNR = Ranges("noise", (10, 20, 30), "dB below speech")
LENGTH = Ranges("length", (2, 5, 10), "s")


def listen(
    clients: Sequence[ConvaiClient], corpora: Mapping[str, Sequence[Recording]], noise: Noise | None = None
) -> list[Heard]:
    """Have every recording heard by every server. A question about a text is heard with the text in mind.

    Raises InvalidArgument if a recording says nothing, for which no rate of errors could be given.
    """
    recordings = [(corpus, recording) for corpus, members in corpora.items() for recording in members]
    said = [spoken_form(recording.text) for _, recording in recordings]
    if wordless := [str(recording.audio) for (_, recording), words in zip(recordings, said, strict=True) if not words]:
        raise InvalidArgument(
            f"{wordless[0]} and {len(wordless) - 1} more have a text without a word; allowed is one or more"
        )
    files = [recording.audio for _, recording in recordings]

    def answer(number: int) -> tuple[float, float, list[str]]:
        audio, sample_rate = read_mono(files[number])
        if noise:
            audio = noisy(audio, sample_rate, noise, number, files)
        context = recordings[number][1].context
        texts = [hear(client, audio, sample_rate, context) for client in clients]
        return len(audio) / sample_rate, signal_to_noise_decibels(audio, sample_rate), texts

    answers = asked_of_all(answer, range(len(recordings)), "listening")
    errors = [word_errors(said, heard) for heard in zip(*(texts for _, _, texts in answers), strict=True)]
    return [
        Heard(recording, corpus, seconds, snr, by_recogniser)
        for (corpus, recording), (seconds, snr, _), by_recogniser in zip(
            recordings, answers, zip(*errors, strict=True), strict=True
        )
    ]


def noisy(audio: np.ndarray, sample_rate: int, noise: Noise, number: int, files: Sequence) -> np.ndarray:
    """Recording `number` of `files` with noise of its own, the same in every run."""
    rng = np.random.default_rng([noise.seed, number])
    if noise.kind == BABBLE:
        others = [file for file in files if file != files[number]]
        if not others:
            raise InvalidArgument("babble is made of the other recordings of the manifest; got one alone")
        voices = [resampled(*read_mono(others[i]), sample_rate) for i in rng.integers(len(others), size=BABBLE_VOICES)]
        added = babble(len(audio), voices, rng)
    else:
        added = coloured_noise(len(audio), sample_rate, noise.kind, rng)
    return add_noise(audio, sample_rate, added, noise.decibels)


def hear(client: ConvaiClient, audio: np.ndarray, sample_rate: int, context: str) -> str:
    if not context:
        return client.transcribe(audio, sample_rate=sample_rate)
    return client.ask(audio, sample_rate=sample_rate, context=context, outputs=("question",)).question or ""


def without_texts(corpora: Mapping[str, Sequence[Recording]]) -> dict[str, list[Recording]]:
    """The recordings as one hears them who does not know what they are about."""
    return {corpus: [replace(one, context="") for one in members] for corpus, members in corpora.items()}


def measured_groups(heard: Sequence[Heard]) -> list[Measurement]:
    """Rates of all recordings, and of each corpus, accent, range of noise and length, and speaker if they are few."""
    return [measured("all recordings", heard), *(measured(name, members) for name, members in groups(heard))]


def groups(heard: Sequence[Heard]) -> Iterator[tuple[str, list[Heard]]]:
    """Parts of what was heard, by each trait that tells recordings apart."""
    yield from parts(heard, lambda one: f"corpus {one.corpus}")
    yield from parts(heard, lambda one: one.recording.accent and f"accent {one.recording.accent}")
    yield from parts(heard, lambda one: SNR.name_of(one.snr_decibels), SNR.names)
    yield from parts(heard, lambda one: LENGTH.name_of(one.seconds), LENGTH.names)
    if len({one.recording.speaker for one in heard}) <= MOST_SPEAKERS:
        yield from parts(heard, lambda one: one.recording.speaker and f"speaker {one.recording.speaker}")


def parts(
    heard: Sequence[Heard], name_of: Callable[[Heard], str], order: Sequence[str] = ()
) -> list[tuple[str, list[Heard]]]:
    """Recordings by name; none if all share one. Those without a name are left out."""
    named: dict[str, list[Heard]] = {}
    for one in heard:
        named.setdefault(name_of(one), []).append(one)
    if len(named) < 2:
        return []
    return [(name, named[name]) for name in order or sorted(named) if name and name in named]


def measured(name: str, heard: Sequence[Heard]) -> Measurement:
    """Word error rate of each recogniser with its interval; of two, the difference with its own."""
    words = [one.by_recogniser[0].words for one in heard]
    speakers = [one.recording.speaker for one in heard]
    errors = list(zip(*([recogniser.errors for recogniser in one.by_recogniser] for one in heard), strict=True))
    figures = labelled("WER", "", bootstrap_interval(rate, (errors[0], words), speakers))
    if len(errors) == 2:
        figures |= labelled("other WER", "other ", bootstrap_interval(rate, (errors[1], words), speakers))
        difference = bootstrap_interval(rate_difference, (*errors, words), speakers)
        figures |= labelled("difference", "difference ", difference)
    return Measurement(name, len(heard), figures)


def labelled(name: str, prefix: str, interval: Interval) -> dict[str, float]:
    """A figure and its bounds as columns of a table; without bounds where there are none."""
    figures = {name: interval.value, f"{prefix}low": interval.low, f"{prefix}high": interval.high}
    return {label: figure for label, figure in figures.items() if not np.isnan(figure)}
