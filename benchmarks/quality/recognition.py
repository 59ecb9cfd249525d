"""Word error rates of running servers on recordings, with bootstrap intervals and the most frequent errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from scipy.stats import bootstrap

from benchmarks.measurements import Measurement, format_measurements
from benchmarks.quality.answers import map_requests
from benchmarks.quality.noise import COLOURS, add_noise, coloured_noise
from convai.backends.steps.transcripts import spoken_form
from convai.client.audio_files import read_mono
from convai.client.client import ConvaiClient
from convai.errors import InvalidArgument
from training.common.recordings import Recording

CONFIDENCE_LEVEL = 0.95
RESAMPLES = 2000
FEWEST_SPEAKERS = 5  # with fewer, resampling speakers would be meaningless
FREQUENT_ERRORS = 15
LEGEND = (
    "WER: word errors per word of the reference, in percent; low and high are its 95 % confidence interval (bootstrap\n"
    f"over speakers, or over recordings where fewer than {FEWEST_SPEAKERS} speakers are known)."
)


@dataclass(frozen=True)
class Noise:
    """Noise to add, `decibels` below the speech."""

    decibels: float
    colour: str = "pink"
    seed: int = 0

    def __post_init__(self):
        if self.colour not in COLOURS:
            raise InvalidArgument(f"noise: expected one of {', '.join(COLOURS)}, got {self.colour!r}")

    def add_to(self, audio: np.ndarray, sample_rate: int, number: int) -> np.ndarray:
        """Return recording `number` with noise of its own, which is the same in every run."""
        rng = np.random.default_rng([self.seed, number])
        return add_noise(audio, sample_rate, coloured_noise(len(audio), sample_rate, self.colour, rng), self.decibels)


@dataclass(frozen=True)
class Transcribed:
    """A recording, its reference transcript, and each server's transcript."""

    recording: Recording
    corpus: str
    reference: str
    transcripts: tuple[str, ...]


def transcribe_corpora(
    clients: Sequence[ConvaiClient],
    corpora: Mapping[str, Sequence[Recording]],
    noise: Noise | None = None,
    use_contexts: bool = True,
) -> list[Transcribed]:
    """Have every server transcribe every recording, with contextual biasing if the recording has a context.

    Raises InvalidArgument if a recording's text has no word, because its error rate is undefined.
    """
    members = [(corpus, recording) for corpus, recordings in corpora.items() for recording in recordings]
    references = [spoken_form(recording.text) for _, recording in members]
    wordless = [recording for (_, recording), words in zip(members, references, strict=True) if not words]
    if wordless:
        count = f"{len(wordless)} of {len(members)} recordings"
        raise InvalidArgument(f"text: expected at least one word, got none in {count}, such as {wordless[0].audio}")

    def transcribe(number: int) -> tuple[str, ...]:
        recording = members[number][1]
        audio, sample_rate = read_mono(recording.audio)
        if noise:
            audio = noise.add_to(audio, sample_rate, number)
        context = recording.context if use_contexts else ""
        return tuple(transcribe_one(client, audio, sample_rate, context) for client in clients)

    transcripts = map_requests(transcribe, range(len(members)), "transcribing")
    return [
        Transcribed(recording, corpus, reference, texts)
        for (corpus, recording), reference, texts in zip(members, references, transcripts, strict=True)
    ]


def transcribe_one(client: ConvaiClient, audio: np.ndarray, sample_rate: int, context: str) -> str:
    if not context:
        return client.transcribe(audio, sample_rate=sample_rate)
    return client.ask(audio, sample_rate=sample_rate, context=context, outputs=("question",)).question or ""


def measure_corpora(transcribed: Sequence[Transcribed]) -> list[Measurement]:
    """Return the rates over all recordings and, of several corpora, of each."""
    corpora = dict.fromkeys(one.corpus for one in transcribed)
    groups = {name: [one for one in transcribed if one.corpus == name] for name in corpora if len(corpora) > 1}
    return [measure_rates("all recordings", transcribed), *(measure_rates(*group) for group in groups.items())]


def measure_rates(name: str, transcribed: Sequence[Transcribed]) -> Measurement:
    """Return each server's word error rate with its interval; of two servers, also the difference."""
    words = np.array([len(one.reference.split()) for one in transcribed])
    speakers = [one.recording.speaker for one in transcribed]
    errors = [
        np.array([count_errors(one.reference, transcript) for one, transcript in zip(transcribed, texts, strict=True)])
        for texts in zip(*(one.transcripts for one in transcribed), strict=True)
    ]
    figures = estimate_rate("WER", errors[0], words, speakers)
    if len(errors) == 2:
        figures |= estimate_rate("other WER", errors[1], words, speakers)
        figures |= estimate_rate("difference", errors[0] - errors[1], words, speakers)
    return Measurement(name, len(transcribed), figures)


def count_errors(reference: str, transcript: str) -> int:
    compared = jiwer.process_words(reference, transcript)
    return compared.substitutions + compared.deletions + compared.insertions


def estimate_rate(name: str, errors: np.ndarray, words: np.ndarray, speakers: Sequence[str]) -> dict[str, float]:
    """Return errors per word in percent, and the bounds of its confidence interval unless there is only one recording.

    Speakers differ more than the sentences of one speaker do, so whole speakers are resampled where there are at least
    FEWEST_SPEAKERS; resampling recordings alone would give too narrow an interval.

    Parameters
    ----------
    errors : int64, shape = (recordings,); differences between two servers' errors, for the interval of a difference
    words : int64, shape = (recordings,)
    speakers : one name per recording
    """
    names, units = np.unique(speakers, return_inverse=True)
    if len(names) < FEWEST_SPEAKERS:
        units = np.arange(len(speakers))
    totals = [np.bincount(units, weights=counts) for counts in (errors, words)]
    figures = {name: float(compute_rate(totals[0], totals[1]))}
    if len(totals[0]) > 1:
        bounds = bootstrap(
            totals,
            compute_rate,
            paired=True,
            vectorized=True,
            n_resamples=RESAMPLES,
            batch=200,  # limits the memory
            confidence_level=CONFIDENCE_LEVEL,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        prefix = name.removesuffix("WER").strip()
        figures |= {f"{prefix} low".strip(): float(bounds.low), f"{prefix} high".strip(): float(bounds.high)}
    return figures


def compute_rate(errors: np.ndarray, words: np.ndarray, axis: int = -1) -> np.ndarray:
    return 100 * errors.sum(axis) / words.sum(axis)


def format_report(transcribed: Sequence[Transcribed], servers: Sequence[str]) -> str:
    parts = [format_measurements(measure_corpora(transcribed)), LEGEND]
    references = [one.reference for one in transcribed]
    for server, texts in zip(servers, zip(*(one.transcripts for one in transcribed), strict=True), strict=True):
        errors = jiwer.visualize_error_counts(jiwer.process_words(references, list(texts)), top_k=FREQUENT_ERRORS)
        parts.append(f"Most frequent errors of {server}\n{errors}")
    return "\n\n".join(parts)
