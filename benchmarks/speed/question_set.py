"""The spoken questions of a benchmark: those of a manifest, or by default a set made of the example."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from convai.client.audio_files import read_mono
from convai.errors import InvalidArgument
from convai.package_data import packaged
from training.common.recordings import Recording, read_manifest

EXAMPLE = packaged("client", "examples", "question.wav")
CONTEXTS = packaged("benchmarks", "speed", "contexts.txt")
QUESTIONS = 24
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 8.0
PAUSE_SECONDS = 0.25  # between two repetitions of the recording
STRIDES = 7, 5  # share no factor with 24: in the one lengths meet contexts, in the other questions are asked


@dataclass(frozen=True, eq=False)
class Question:
    """
    Attributes
    ----------
    audio : float32 in [-1, 1], shape = (samples,)
    sample_rate : Hertz
    """

    audio: np.ndarray
    sample_rate: int
    context: str

    @property
    def seconds(self) -> float:
        return len(self.audio) / self.sample_rate


def asked_questions(manifest: Path | None, limit: int | None) -> list[Question]:
    """What a benchmark asks: the recordings of a manifest, or else the default questions."""
    return manifest_questions(manifest, limit) if manifest else default_questions()


def default_questions(recording: Path = EXAMPLE) -> list[Question]:
    """24 questions of 1 to 8 s about contexts of one sentence to eight paragraphs.

    Each is the example "What is he often called?", cut or repeated. Every context says what someone is often called,
    so that answers are found and differ in length.
    """
    audio, sample_rate = read_mono(recording)
    seconds = np.linspace(SHORTEST_SECONDS, LONGEST_SECONDS, QUESTIONS)
    contexts = default_contexts()
    questions = [
        question_of(audio, sample_rate, seconds[index * STRIDES[0] % QUESTIONS], contexts[index])
        for index in range(QUESTIONS)
    ]
    return [questions[index * STRIDES[1] % QUESTIONS] for index in range(QUESTIONS)]


def question_of(audio: np.ndarray, sample_rate: int, seconds: float, context: str) -> Question:
    pause = np.zeros(round(PAUSE_SECONDS * sample_rate), np.float32)
    return Question(np.resize(np.concatenate([audio, pause]), round(seconds * sample_rate)), sample_rate, context)


def default_contexts() -> list[str]:
    """Four times each one sentence, three, a paragraph, two, four and all eight, another person's first."""
    paragraphs = [paragraph.splitlines() for paragraph in CONTEXTS.read_text().strip().split("\n\n")]
    return [cut(rotated(paragraphs, index), index // 4) for index in range(QUESTIONS)]


def rotated(paragraphs: list[list[str]], index: int) -> list[list[str]]:
    start = index % len(paragraphs)
    return paragraphs[start:] + paragraphs[:start]


def cut(paragraphs: list[list[str]], size: int) -> str:
    """The beginning of a text, of one of six sizes."""
    sentences = (paragraphs[0][:1], paragraphs[0][:3], *(chain(*paragraphs[:count]) for count in (1, 2, 4, 8)))
    return " ".join(sentences[size])


def manifest_questions(manifest: Path, limit: int | None) -> list[Question]:
    """The first `limit` recordings of a manifest. Raises InvalidArgument if one has no context to answer from."""
    recordings = read_manifest(manifest)[:limit]
    for recording in recordings:
        if not recording.context:
            raise InvalidArgument(f"{manifest}: {recording.audio.name} has no 'context'; every question needs one")
    return [read_question(recording) for recording in recordings]


def read_question(recording: Recording) -> Question:
    try:
        return Question(*read_mono(recording.audio), recording.context)
    except InvalidArgument as error:
        raise InvalidArgument(f"{recording.audio} {error}") from error
