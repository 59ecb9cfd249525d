"""Counters of the Python steps for Prometheus, beside those of Triton itself.

A step lists its `counters`; the adapter increments them by the amount of each row that the step has answered. A
refused request counts nothing. Instances of a step share their counters, which continue after a respawn.

Useful PromQL queries, over five minutes:

    requests per second
        sum(rate(nv_inference_request_success{model="convai_ensemble"}[5m]))
    share of requests that failed
        sum(rate(nv_inference_request_failure{model="convai_ensemble"}[5m]))
        / (sum(rate(nv_inference_request_failure{model="convai_ensemble"}[5m]))
           + 2 * sum(rate(nv_inference_request_success{model="convai_ensemble"}[5m])))
    99th percentile of the latency in the last minute, in seconds; also 0.5, 0.9, 0.95 and 0.999, and of each step
        nv_inference_request_summary_us{model="convai_ensemble", quantile="0.99"} / 1e6
    mean seconds per request, of each step and ensemble
        sum by (model) (rate(nv_inference_request_duration_us[5m])) / 1e6
        / sum by (model) (rate(nv_inference_request_success[5m]))
    share of that time spent in the step's queue
        sum by (model) (rate(nv_inference_queue_duration_us[5m]))
        / sum by (model) (rate(nv_inference_request_duration_us[5m]))
    requests in the queue now
        nv_inference_pending_request_count
    mean batch size of each step
        sum by (model) (rate(nv_inference_count[5m])) / sum by (model) (rate(nv_inference_exec_count[5m]))
    share of questions that their context does not answer
        sum(rate(convai_no_answers_total[5m]))
        / (sum(rate(convai_no_answers_total[5m])) + sum(rate(convai_answers_total[5m])))
    real-time factor of recognition: seconds per second of question
        sum(rate(nv_inference_request_duration_us{model=~"speech_features|jasper|ctc_decoder|moonshine"}[5m])) / 1e6
        / sum(rate(convai_question_seconds_total[5m]))
    real-time factor of synthesis: seconds per second of speech
        sum(rate(nv_inference_request_duration_us{
            model=~"text_encoder|tacotron2|mel_padder|waveglow|audio_trimmer"}[5m])) / 1e6
        / sum(rate(convai_answer_seconds_total[5m]))

The real-time factor is not a metric: a gauge would show the last request of the instance that wrote last.

Triton 2.51 counts a failed request twice on its ensemble, hence the 2, and not at all if its tensors are not those of
the model. On a step it counts a request that the step refused as a success, and does not count one that the full queue
refused.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Prometheus's own convention: a prefix for the application, the unit, and _total for what only grows.
NAME = re.compile(r"convai_[a-z]+(_[a-z]+)*_total")

Row = Mapping[str, Any]  # a row's inputs, or its outputs, by name


@dataclass(frozen=True)
class Counter:
    """A sum over all rows that a step has answered; `amount` returns one row's share, from its inputs and outputs."""

    name: str
    help: str
    amount: Callable[[Row, Row], float]

    def __post_init__(self):
        if not NAME.fullmatch(self.name):
            raise ValueError(f"name: expected lower-case words from convai_ to _total, got {self.name!r}")
        if not self.help:
            raise ValueError("help: expected a sentence that names what is counted and its unit, got none")

    def total(self, rows: Iterable[tuple[Row, Row]]) -> float:
        """Sum of the amounts of rows, each given as its inputs and its outputs by name."""
        return math.fsum(self.amount(inputs, outputs) for inputs, outputs in rows)
