"""Answers of a running server: to text questions, and to spoken ones, beside the same questions as text."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jiwer
from tqdm import tqdm

from benchmarks.measurements import Measurement
from benchmarks.quality.question_answering import AskedQuestion, mismatch_questions, score_answers
from convai.backends.steps.transcripts import spoken_form
from convai.client.answer import Answer
from convai.client.audio_files import read_mono
from convai.client.client import ConvaiClient
from convai.errors import InvalidArgument
from training.common.recordings import Recording

PARALLEL_REQUESTS = 2  # so that the server never waits for this program


def measure_text_questions(client: ConvaiClient, questions: Sequence[AskedQuestion]) -> list[Measurement]:
    """Measure text questions as written and as a perfect recogniser writes them, and refusals of wrong contexts."""
    transcribed = [replace(asked, question=spoken_form(asked.question)) for asked in questions]
    mismatched = mismatch_questions(transcribed)
    refusals = compute_refused_percent(answer_texts(client, mismatched, "mismatched"))
    return [
        score_questions("written questions", questions, answer_texts(client, questions, "written")),
        score_questions("perfect transcripts", transcribed, answer_texts(client, transcribed, "perfect transcripts")),
        Measurement("context without the answer", len(mismatched), {"refused": refusals}),
    ]


def measure_spoken_questions(client: ConvaiClient, recordings: Sequence[Recording]) -> list[Measurement]:
    """Measure spoken questions, and the same questions as text: the difference is the cost of recognition errors."""
    unusable = [str(recording.audio) for recording in recordings if not recording.context or not recording.accepted]
    if unusable:
        raise InvalidArgument(
            f"{unusable[0]} and {len(unusable) - 1} more lack 'context' or 'answers', which the pipeline needs"
        )

    def ask(recording: Recording) -> Answer:
        audio, sample_rate = read_mono(recording.audio)
        outputs = ("question", "answer", "answer_score")
        return client.ask(audio, sample_rate=sample_rate, context=recording.context, outputs=outputs)

    written = [AskedQuestion(one.question, one.context, one.accepted) for one in recordings]
    transcribed = [replace(question, question=one.text) for question, one in zip(written, recordings, strict=True)]
    answers = map_requests(ask, recordings, "spoken")
    wer = 100 * jiwer.wer([spoken_form(one.text) for one in recordings], [answer.question or "" for answer in answers])
    spoken = score_questions("spoken questions", written, answers)
    return [
        replace(spoken, figures={"WER": wer, **spoken.figures}),
        score_questions("perfect transcripts", transcribed, answer_texts(client, transcribed, "perfect transcripts")),
        score_questions("written questions", written, answer_texts(client, written, "written")),
    ]


def answer_texts(client: ConvaiClient, questions: Sequence[AskedQuestion], label: str) -> list[Answer]:
    return map_requests(lambda asked: client.answer_text(asked.question, asked.context), questions, label)


def map_requests(request: Callable, items: Sequence, label: str) -> list:
    """Send one request per item, PARALLEL_REQUESTS at a time; results are in the order of the items."""
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        return list(tqdm(pool.map(request, items), desc=label, total=len(items), mininterval=2, disable=None))


def score_questions(name: str, questions: Sequence[AskedQuestion], answers: Sequence[Answer]) -> Measurement:
    """Compute exact match and F1; a refused question scores zero."""
    scores = score_answers([answer.answer or "" for answer in answers], [asked.accepted for asked in questions])
    figures = {"EM": scores.exact_match, "F1": scores.f1, "refused": compute_refused_percent(answers)}
    return Measurement(name, len(questions), figures)


def compute_refused_percent(answers: Sequence[Answer]) -> float:
    return 100 * sum(not answer.answer for answer in answers) / len(answers)
