"""The spoken questions that benchmarks ask: those of a manifest, or 24 that are made from the example."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from convai.client.audio_files import read_mono
from convai.errors import InvalidArgument
from convai.package_data import packaged
from training.common.recordings import Recording, read_manifest

EXAMPLE = packaged("client", "examples", "question.wav")
CONTEXTS = Path(__file__).with_name("contexts.txt")
QUESTIONS = 24
SHORTEST_SECONDS, LONGEST_SECONDS = 1.0, 8.0
PAUSE_SECONDS = 0.25  # between two repetitions of the recording
# Both are coprime to 24: the first pairs lengths with contexts, the second orders the questions.
LENGTH_STRIDE, ORDER_STRIDE = 7, 5


@dataclass(frozen=True, eq=False)
class Question:
    """
    Attributes
    ----------
    audio : float32 in [-1, 1], shape = (samples,)
    sample_rate : Hz
    """

    audio: np.ndarray
    sample_rate: int
    context: str

    @property
    def seconds(self) -> float:
        return len(self.audio) / self.sample_rate


def read_questions(manifest: Path | None, limit: int | None = None) -> list[Question]:
    """Return the first `limit` questions of a manifest; without one, 24 questions made from the example.

    Raises InvalidArgument if a recording has no context to answer from.
    """
    if manifest is None:
        return build_default_questions()
    recordings = read_manifest(manifest)[:limit]
    for recording in recordings:
        if not recording.context:
            raise InvalidArgument(f"{manifest}: {recording.audio.name} has no 'context'; every question needs one")
    return [_read_question(recording) for recording in recordings]


def _read_question(recording: Recording) -> Question:
    try:
        return Question(*read_mono(recording.audio), recording.context)
    except InvalidArgument as error:
        raise InvalidArgument(f"{recording.audio} {error}") from error


def build_default_questions() -> list[Question]:
    """Return 24 questions of 1 to 8 s about contexts of one sentence to eight paragraphs.

    Each is the example "What is he often called?", cut or repeated. Every context says what a person is often called,
    so every question has an answer, and the answers differ in length.
    """
    audio, sample_rate = read_mono(EXAMPLE)
    pause = np.zeros(round(PAUSE_SECONDS * sample_rate), np.float32)
    repeated = np.concatenate([audio, pause])
    seconds = np.linspace(SHORTEST_SECONDS, LONGEST_SECONDS, QUESTIONS)
    contexts = build_default_contexts()
    questions = [
        Question(
            np.resize(repeated, round(seconds[index * LENGTH_STRIDE % QUESTIONS] * sample_rate)),
            sample_rate,
            contexts[index],
        )
        for index in range(QUESTIONS)
    ]
    return [questions[index * ORDER_STRIDE % QUESTIONS] for index in range(QUESTIONS)]


def build_default_contexts() -> list[str]:
    """Return four contexts of each size: one sentence, three, and one, two, four and all eight paragraphs.

    The four of one size begin with different paragraphs.
    """
    paragraphs = [paragraph.splitlines() for paragraph in CONTEXTS.read_text().strip().split("\n\n")]
    contexts = []
    for index in range(QUESTIONS):
        start = index % len(paragraphs)
        rotated = paragraphs[start:] + paragraphs[:start]
        sizes = (rotated[0][:1], rotated[0][:3], *(chain(*rotated[:count]) for count in (1, 2, 4, 8)))
        contexts.append(" ".join(sizes[index // 4]))
    return contexts
