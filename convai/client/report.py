"""Prints the outcome of a question: lines for people, JSON for programs."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convai.client.answer import Answer
from convai.client.step_by_step import RoundTrip
from convai.client.steps import StepTime
from convai.program import LINE_END, escape_controls, to_json

TEXT_OUTPUTS = ("question", "answer", "answer_score", "answer_span")
Times = tuple[StepTime, ...] | tuple[RoundTrip, ...]


@dataclass(frozen=True)
class Job:
    """One question to ask and the files to write; None for a file that is not wanted."""

    file: Path
    answer_file: Path | None
    plot_file: Path | None
    trace_file: Path | None

    @property
    def written(self) -> tuple[Path, ...]:
        return tuple(filter(None, (self.answer_file, self.plot_file, self.trace_file)))


def as_text(job: Job, answer: Answer, times: Times) -> str:
    lines = [str(job.file), f"  question  {answer.question or '(nothing)'}", f"  answer    {_describe_answer(answer)}"]
    if job.answer_file:
        lines.append(f"  speech    {job.answer_file}, {answer.seconds:.2f} s")
    if job.plot_file:
        lines.append(f"  plot      {job.plot_file}")
    if job.trace_file:
        lines.append(f"  trace     {job.trace_file}")
    return escape_controls("\n".join(lines + _time_lines(times)), keep=LINE_END)


def _describe_answer(answer: Answer) -> str:
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
        whose = "this request" if most == 1 else f"up to {most} requests, some of other clients"
        heading = f"time of each step inside the server, queue + compute, from Triton's statistics of {whose} [ms]"
    return [f"  {heading}", *(f"    {time.step:<16} {_milliseconds(time)}" for time in times)]


def _milliseconds(time: StepTime | RoundTrip) -> str:
    if isinstance(time, RoundTrip):
        return f"{1000 * time.round_trip_seconds:9.1f}"
    return f"{1000 * time.queue_seconds:7.1f} + {1000 * time.compute_seconds:7.1f}"


def as_json(job: Job, answer: Answer, times: Times) -> str:
    record: dict[str, Any] = {"file": str(job.file)}
    record |= {name: getattr(answer, name) for name in TEXT_OUTPUTS}
    record |= {name: path and str(path) for name, path in asdict(job).items() if name != "file"}
    record["steps"] = [asdict(time) for time in times]
    for time, step in zip(times, record["steps"], strict=True):
        if isinstance(time, StepTime):
            step["compute_seconds"] = time.compute_seconds
    return to_json(record)


def failure_as_json(file: Path, error: Exception) -> str:
    return to_json({"file": str(file), "error": str(error)})
