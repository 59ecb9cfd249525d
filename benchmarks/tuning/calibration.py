"""Choose answer_score's scale, bias and threshold: python -m benchmarks.tuning.calibration --squad dev.json

Half of the questions choose the numbers, the other half tells how well they do. Each question is asked once with its
own context and once with one that does not hold its answer.
"""

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks.quality.question_answering import (
    BertRunner,
    ForcedAnswer,
    mismatched,
    open_bert,
    read_questions,
    reply,
    sample,
)
from benchmarks.quality.squad_metrics import f1, score
from convai.backends.steps.qa_tokenizer import QaTokenizer
from convai.backends.steps.transcripts import spoken_form
from convai.generator.profiles import PROFILES
from convai.package_data import packaged
from convai.program import run_program
from training.bert.questions import misrecognise

MODEL_FILE = Path("model_repository/bert/1/model.onnx")
VOCABULARY_FILE = packaged("model_repository", "qa_tokenizer", "1", "vocab.txt")
WORD_ERROR_RATE = 0.15  # of the misheard form
RIGHT_F1 = 0.5  # an answer that shares this much with an accepted one counts as right
NEWTON_STEPS = 25


@dataclass(frozen=True)
class Calibration:
    """answer_score = sigmoid(scale * log_odds + bias); a score below the threshold is no answer."""

    score_scale: float
    score_bias: float
    no_answer_threshold: float

    def scores(self, log_odds: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(self.score_scale * log_odds + self.score_bias)))

    def refused_percent(self, log_odds: np.ndarray) -> float:
        return 100 * float(np.mean(self.scores(log_odds) < self.no_answer_threshold))


def calibrate(
    answerable: np.ndarray, unanswerable: np.ndarray, right: np.ndarray, wrongly_refused: float
) -> Calibration:
    """Fit the score to how often an answer is right, and the threshold to a share of answerable questions refused.

    Parameters
    ----------
    answerable, unanswerable : float, shape = (questions,)
        Log odds of the answers with the right context and with a wrong one.
    right : bool, shape = (questions,)
        Whether the answer from the right context is right.
    """
    log_odds = np.concatenate([answerable, unanswerable])
    labels = np.concatenate([right, np.zeros(len(unanswerable), bool)])
    scale, bias = fit_logistic(log_odds, labels)
    fitted = Calibration(scale, bias, 0.0)
    return replace(fitted, no_answer_threshold=float(np.quantile(fitted.scores(answerable), wrongly_refused)))


def fit_logistic(values: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Scale and bias of the logistic function of `values` that fits 0/1 `labels` best (Newton's method).

    A slight pull towards zero keeps the fit finite where the values separate the labels completely.
    """
    design = np.stack([values, np.ones_like(values)], axis=1)
    weights = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        probabilities = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        curvature = design.T @ (design * (probabilities * (1 - probabilities))[:, None]) + 1e-3 * np.eye(2)
        weights = weights + np.linalg.solve(curvature, design.T @ (labels - probabilities) - 1e-3 * weights)
    return float(weights[0]), float(weights[1])


def measure(tokenizer: QaTokenizer, bert: BertRunner, squad_file: Path, count: int, wrongly_refused: float) -> dict:
    """Measure quality per form of the questions, then calibrate on the spoken forms."""
    asked = sample(read_questions(squad_file), count)
    rng = np.random.default_rng(0)
    forms = {
        "written": lambda text: text,
        "spoken": spoken_form,
        "misheard": lambda text: misrecognise(spoken_form(text), WORD_ERROR_RATE, rng),
    }
    odds, right, quality = {}, {}, {}
    for name, form in forms.items():
        questions = [replace(one, question=form(one.question)) for one in asked]
        replies = ask_all(tokenizer, bert, questions, name)
        strangers = ask_all(tokenizer, bert, mismatched(questions), f"{name}, mismatched")
        quality[name] = score([given.answer for given in replies], [one.accepted for one in questions])._asdict()
        odds[name] = tuple(np.array([given.log_odds for given in group]) for group in (replies, strangers))
        right[name] = np.array(
            [f1(given.answer, one.accepted) >= RIGHT_F1 for given, one in zip(replies, questions, strict=True)]
        )
    half = count // 2
    spoken = ("spoken", "misheard")
    answerable, unanswerable = (np.concatenate([odds[name][group][:half] for name in spoken]) for group in (0, 1))
    are_right = np.concatenate([right[name][:half] for name in spoken])
    chosen = calibrate(answerable, unanswerable, are_right, wrongly_refused)
    refused = {
        name: {
            "wrongly_refused_percent": chosen.refused_percent(odds[name][0][half:]),
            "mismatched_refused_percent": chosen.refused_percent(odds[name][1][half:]),
        }
        for name in forms
    }
    return {"questions": count, "quality": quality, "calibration": vars(chosen), "other_half": refused}


def ask_all(tokenizer: QaTokenizer, bert: BertRunner, questions: list, label: str) -> list[ForcedAnswer]:
    return [reply(tokenizer, bert, question) for question in tqdm(questions, desc=label, mininterval=5)]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning.calibration", description=__doc__)
    parser.add_argument("--squad", type=Path, required=True, help="questions, SQuAD format, may be gzipped")
    parser.add_argument("--questions", type=int, default=1000, help="how many questions to draw (default: 1000)")
    parser.add_argument("--wrongly-refused", type=float, default=0.05, help="share of answerable ones (default: 0.05)")
    parser.add_argument("--model", type=Path, default=MODEL_FILE, help="exported BERT (default: the installed one)")
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY_FILE, help="file of word pieces")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    served: dict[str, Any] = dict(PROFILES["cpu"].settings["qa_tokenizer"].parameters)
    served["vocabulary_file"] = str(args.vocabulary)
    tokenizer = QaTokenizer(**served)
    report = measure(tokenizer, open_bert(args.model, args.threads), args.squad, args.questions, args.wrongly_refused)
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    sys.exit(main())
