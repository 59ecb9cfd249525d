"""Quality measured through a running server: what it answers, and what mishearing costs."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jiwer
from tqdm import tqdm

from benchmarks.quality.question_answering import AskedQuestion, mismatched
from benchmarks.quality.squad_metrics import score
from benchmarks.tables import Measurement
from convai.backends.steps.transcripts import spoken_form
from convai.client.answer import Answer
from convai.client.audio_files import read_mono
from convai.client.client import ConvaiClient
from convai.errors import InvalidArgument
from training.common.recordings import Recording

PARALLEL_REQUESTS = 2  # enough that the server never waits for this program


def reading(client: ConvaiClient, questions: Sequence[AskedQuestion]) -> list[Measurement]:
    """Exact match and F1 of text questions, as written and as a perfect recogniser delivers them; refusals."""
    spoken = [replace(asked, question=spoken_form(asked.question)) for asked in questions]
    strangers = mismatched(spoken)
    return [
        answering("written questions", questions, answer_all(client, questions, "written")),
        answering("spoken form", spoken, answer_all(client, spoken, "spoken form")),
        Measurement(
            "context without the answer",
            len(strangers),
            {"refused": refused_percent(answer_all(client, strangers, "mismatched"))},
        ),
    ]


def conversation(client: ConvaiClient, recordings: Sequence[Recording]) -> list[Measurement]:
    """The pipeline on spoken questions, beside the same questions as text: the difference is the cost of mishearing."""
    unfit = [str(recording.audio) for recording in recordings if not recording.context or not recording.accepted]
    if unfit:
        raise InvalidArgument(
            f"{unfit[0]} and {len(unfit) - 1} more lack 'context' or 'answers', which the pipeline needs"
        )
    asked = [AskedQuestion(one.question, one.context, one.accepted) for one in recordings]
    text = [replace(question, question=one.text) for question, one in zip(asked, recordings, strict=True)]
    answers = asked_of_all(lambda recording: ask(client, recording), recordings, "spoken")
    heard = [answer.question for answer in answers]
    spoken = answering("spoken questions", asked, answers)
    wer = word_error_rate(list(zip(recordings, heard, strict=True)))
    return [
        replace(spoken, figures={"WER": wer, **spoken.figures}),
        answering("the same, heard perfectly", text, answer_all(client, text, "heard perfectly")),
        answering("the same, as written", asked, answer_all(client, asked, "written")),
    ]


def ask(
    client: ConvaiClient, recording: Recording, outputs: Sequence[str] = ("question", "answer", "answer_score")
) -> Answer:
    audio, sample_rate = read_mono(recording.audio)
    return client.ask(audio, sample_rate=sample_rate, context=recording.context, outputs=outputs)


def answer_all(client: ConvaiClient, questions: Sequence[AskedQuestion], label: str) -> list[Answer]:
    return asked_of_all(lambda asked: client.answer_text(asked.question, asked.context), questions, label)


def asked_of_all(request: Callable, items: Sequence, label: str) -> list:
    """Send one request per item, a few at a time; the results come in the order of the items."""
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        return list(tqdm(pool.map(request, items), desc=label, total=len(items), mininterval=2, disable=None))


def answering(name: str, questions: Sequence[AskedQuestion], answers: Sequence[Answer]) -> Measurement:
    """Exact match and F1; a refused question counts as answered wrongly."""
    marks = score([answer.answer or "" for answer in answers], [asked.accepted for asked in questions])
    figures = {"EM": marks.exact_match, "F1": marks.f1, "refused": refused_percent(answers)}
    return Measurement(name, len(questions), figures)


def refused_percent(answers: Sequence[Answer]) -> float:
    return 100 * sum(not answer.answer for answer in answers) / len(answers)


def word_error_rate(pairs: Sequence[tuple[Recording, str]]) -> float:
    """Errors per word said, in percent."""
    said, heard = [spoken_form(recording.text) for recording, _ in pairs], [heard for _, heard in pairs]
    return 100 * jiwer.wer(said, heard)
