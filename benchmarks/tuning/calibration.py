"""Choose answer_score's scale, bias and threshold.

python -m benchmarks.tuning.calibration --squad dev-v1.1.json

One half of the questions fits the numbers, the other half measures them. Each question is asked with its own context
and with one that does not hold its answer.
"""

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tqdm import tqdm

from benchmarks.options import build_program_parser
from benchmarks.quality.question_answering import (
    BertRunner,
    answer_question,
    compute_f1,
    draw_items,
    mismatch_questions,
    read_questions,
    score_answers,
)
from convai.backends.steps.qa_tokenizer import QaTokenizer
from convai.backends.steps.transcripts import spoken_form
from convai.generator.profiles import PROFILES
from convai.package_data import packaged
from convai.program import run_program
from training.bert.questions import misrecognise

MODEL_FILE = Path("model_repository/bert/1/model.onnx")
VOCABULARY_FILE = packaged("model_repository", "qa_tokenizer", "1", "vocab.txt")
WORD_ERROR_RATE = 0.15  # of the questions with simulated recognition errors
RIGHT_F1 = 0.5  # an answer with at least this F1 counts as right
NEWTON_STEPS = 25


@dataclass(frozen=True)
class Calibration:
    """answer_score = sigmoid(score_scale * log_odds + score_bias); below the threshold, the answer is empty."""

    score_scale: float
    score_bias: float
    no_answer_threshold: float

    def compute_scores(self, log_odds: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-(self.score_scale * log_odds + self.score_bias)))

    def compute_refused_percent(self, log_odds: np.ndarray) -> float:
        return 100 * float(np.mean(self.compute_scores(log_odds) < self.no_answer_threshold))


def build_parser() -> argparse.ArgumentParser:
    parser = build_program_parser("benchmarks.tuning.calibration", __doc__)
    parser.add_argument("--squad", type=Path, required=True, help="questions in SQuAD format, may be gzipped")
    parser.add_argument("--questions", type=int, default=1000, help="number to draw, default %(default)s")
    refused_help = "share of answerable questions to refuse, default %(default)s"
    parser.add_argument("--wrongly-refused", type=float, default=0.05, help=refused_help)
    parser.add_argument("--model", type=Path, default=MODEL_FILE, help="exported BERT, default %(default)s")
    parser.add_argument("--vocabulary", type=Path, default=VOCABULARY_FILE, help="word pieces (default: installed)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads, default %(default)s")
    return parser


def run(args: argparse.Namespace) -> None:
    parameters: dict[str, Any] = dict(PROFILES["cpu"].settings["qa_tokenizer"].parameters)
    parameters["vocabulary_file"] = str(args.vocabulary)
    tokenizer = QaTokenizer(**parameters)
    bert = load_bert(args.model, args.threads)
    print(json.dumps(measure(tokenizer, bert, args.squad, args.questions, args.wrongly_refused), indent=2))


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def load_bert(model_file: Path, threads: int) -> BertRunner:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session: Any = onnxruntime.InferenceSession(model_file, options, providers=["CPUExecutionProvider"])
    names = [tensor.name for tensor in session.get_inputs()]

    def run_bert(*windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        inputs = {name: array[None] for name, array in zip(names, windows, strict=True)}
        start_logits, end_logits = session.run(None, inputs)
        return start_logits[0], end_logits[0]

    return run_bert


def calibrate(
    answerable: np.ndarray, unanswerable: np.ndarray, right: np.ndarray, wrongly_refused: float
) -> Calibration:
    """Fit the score to the share of right answers, and the threshold to a share of answerable questions refused.

    Parameters
    ----------
    answerable, unanswerable : float64, shape = (questions,)
        Log odds of the answers with the right context and with a wrong one.
    right : bool, shape = (questions,)
        Whether the answer from the right context is right.
    wrongly_refused : share of `answerable` below the threshold, 0 to 1
    """
    log_odds = np.concatenate([answerable, unanswerable])
    labels = np.concatenate([right, np.zeros(len(unanswerable), bool)])
    fitted = Calibration(*fit_logistic(log_odds, labels), 0.0)
    threshold = float(np.quantile(fitted.compute_scores(answerable), wrongly_refused))
    return replace(fitted, no_answer_threshold=threshold)


def fit_logistic(values: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return scale and bias of the logistic function of `values` that fits 0/1 `labels` best (Newton's method).

    A small ridge penalty keeps the fit finite where the values separate the labels completely.
    """
    design = np.stack([values, np.ones_like(values)], axis=1)
    weights = np.zeros(2)
    for _ in range(NEWTON_STEPS):
        probabilities = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        curvature = design.T @ (design * (probabilities * (1 - probabilities))[:, None]) + 1e-3 * np.eye(2)
        weights = weights + np.linalg.solve(curvature, design.T @ (labels - probabilities) - 1e-3 * weights)
    return float(weights[0]), float(weights[1])


def measure(tokenizer: QaTokenizer, bert: BertRunner, squad_file: Path, count: int, wrongly_refused: float) -> dict:
    """Measure quality per form of the questions, and calibrate on the transcribed forms."""
    asked = draw_items(read_questions(squad_file), count)
    rng = np.random.default_rng(0)
    forms = {
        "written": lambda text: text,
        "transcribed": spoken_form,
        "with recognition errors": lambda text: misrecognise(spoken_form(text), WORD_ERROR_RATE, rng),
    }
    answerable, unanswerable, right, quality = {}, {}, {}, {}
    for name, form in forms.items():
        questions = [replace(one, question=form(one.question)) for one in asked]
        answers = [answer_question(tokenizer, bert, one) for one in tqdm(questions, desc=name, mininterval=5)]
        mismatched = [answer_question(tokenizer, bert, one) for one in mismatch_questions(questions)]
        pairs = [(answer.answer, one.accepted) for answer, one in zip(answers, questions, strict=True)]
        quality[name] = score_answers(*zip(*pairs, strict=True))._asdict()
        answerable[name] = np.array([answer.log_odds for answer in answers])
        unanswerable[name] = np.array([answer.log_odds for answer in mismatched])
        right[name] = np.array([compute_f1(*pair) >= RIGHT_F1 for pair in pairs])
    half = count // 2
    first_halves = [
        np.concatenate([group[name][:half] for name in forms if name != "written"])
        for group in (answerable, unanswerable, right)
    ]
    chosen = calibrate(first_halves[0], first_halves[1], first_halves[2], wrongly_refused)
    refused = {
        name: {
            "wrongly_refused_percent": chosen.compute_refused_percent(answerable[name][half:]),
            "mismatched_refused_percent": chosen.compute_refused_percent(unanswerable[name][half:]),
        }
        for name in forms
    }
    return {"questions": count, "quality": quality, "calibration": vars(chosen), "other_half": refused}


if __name__ == "__main__":
    sys.exit(main())
