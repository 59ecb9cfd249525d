"""What the servers are asked while something breaks, and what counts as the same answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.speed.question_set import default_contexts, manifest_questions
from convai.client.answer import Answer
from convai.client.client import ConvaiClient
from convai.package_data import packaged

QUESTION = "What is he often called?"
CONTEXTS = 8  # of one sentence or three, which BERT reads quickly
EXAMPLES = packaged("client", "examples", "examples.jsonl")
AUDIO_TOLERANCE = 1e-3  # of full scale: the pipeline's own promise

Ask = Callable[[ConvaiClient], Answer]


@dataclass(frozen=True)
class QuestionSet:
    """An ensemble and questions that it answers."""

    ensemble: str
    questions: Sequence[Ask]


def written() -> QuestionSet:
    """Questions for which only BERT and its steps are needed."""

    def about(context: str) -> Ask:
        return lambda client: client.answer_text(QUESTION, context)

    return QuestionSet("question_answering", [about(context) for context in default_contexts()[:CONTEXTS]])


def spoken() -> QuestionSet:
    """The recorded examples, which take the whole pipeline."""

    def about(audio: np.ndarray, sample_rate: int, context: str) -> Ask:
        return lambda client: client.ask(audio, sample_rate=sample_rate, context=context)

    examples = manifest_questions(EXAMPLES, None)
    return QuestionSet("convai_ensemble", [about(each.audio, each.sample_rate, each.context) for each in examples])


def is_same(answer: Answer, expected: Answer) -> bool:
    if (answer.question, answer.answer) != (expected.question, expected.answer):
        return False
    if answer.answer_audio is None or expected.answer_audio is None:
        return answer.answer_audio is expected.answer_audio
    return answer.answer_audio.shape == expected.answer_audio.shape and np.allclose(
        answer.answer_audio, expected.answer_audio, rtol=0, atol=AUDIO_TOLERANCE
    )
