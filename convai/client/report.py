"""Tells what came of a question: lines for people, JSON for programs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convai.client.answer import Answer
from convai.client.step_by_step import RoundTrip
from convai.client.step_times import StepTime

Times = tuple[StepTime, ...] | tuple[RoundTrip, ...]


@dataclass(frozen=True)
class Outcome:
    """One question answered: the files read and written, and the times if they were measured."""

    file: Path
    answer: Answer
    answer_file: Path | None
    plot_file: Path | None
    trace_file: Path | None
    times: Times


def as_text(outcome: Outcome) -> str:
    answer = outcome.answer
    lines = [str(outcome.file), f"  heard   {answer.question or '(nothing)'}", f"  answer  {_found(answer)}"]
    if outcome.answer_file:
        lines.append(f"  spoken  {outcome.answer_file}, {answer.seconds:.2f} s")
    if outcome.plot_file:
        lines.append(f"  drawn   {outcome.plot_file}")
    if outcome.trace_file:
        lines.append(f"  traced  {outcome.trace_file}")
    return "\n".join(lines + _time_lines(outcome.times))


def _found(answer: Answer) -> str:
    if not answer.answer or answer.answer_span is None:
        return f"(none in the text)  score {answer.answer_score:.2f}"
    start, end = answer.answer_span
    return f"{answer.answer}  score {answer.answer_score:.2f}, characters {start} to {end}"


def _time_lines(times: Times) -> list[str]:
    if not times:
        return []
    most = max((time.requests for time in times if isinstance(time, StepTime)), default=None)
    if most is None:
        heading = "time of each step, called from this client, transfers included [ms]"
    else:
        whose = "this request" if most == 1 else f"up to {most} requests, others used the server too"
        heading = f"time of each step inside the server, queue + compute, from Triton's statistics of {whose} [ms]"
    return [f"  {heading}", *(f"    {time.step:<16} {_milliseconds(time)}" for time in times)]


def _milliseconds(time: StepTime | RoundTrip) -> str:
    if isinstance(time, RoundTrip):
        return f"{1000 * time.round_trip_seconds:9.1f}"
    return f"{1000 * time.queue_seconds:7.1f} + {1000 * time.compute_seconds:7.1f}"


def as_json(outcome: Outcome) -> str:
    answer = outcome.answer
    record = {
        "file": str(outcome.file),
        "question": answer.question,
        "answer": answer.answer,
        "answer_score": answer.answer_score,
        "answer_span": answer.answer_span,
        "answer_file": outcome.answer_file and str(outcome.answer_file),
        "plot_file": outcome.plot_file and str(outcome.plot_file),
        "trace_file": outcome.trace_file and str(outcome.trace_file),
        "steps": [_time_record(time) for time in outcome.times],
    }
    return json.dumps(record, ensure_ascii=False)


def _time_record(time: StepTime | RoundTrip) -> dict[str, Any]:
    compute = {} if isinstance(time, RoundTrip) else {"compute_seconds": time.compute_seconds}
    return asdict(time) | compute


def failure_as_json(file: Path, error: Exception) -> str:
    return json.dumps({"file": str(file), "error": str(error)}, ensure_ascii=False)
