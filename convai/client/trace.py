"""Writes one request as a Chrome trace, which https://ui.perfetto.dev opens: a track per step, its parts as slices.

The durations are measured inside the server. The start times are not, since Triton's statistics have no clock times: a
step starts where the last step ends whose outputs it takes. On an idle server this is within 1 ms of Triton's traces.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from convai.client.steps import StepTime, TimedAnswer
from convai.description.pipeline import Call

PARTS = ("queue", "input", "infer", "output")  # of a step, in order


def write_trace(path: Path, name: str, timed: TimedAnswer) -> None:
    """Write the trace of `timed` to `path`; `name` is the question's."""
    answer = timed.answer
    title = f"{name}: {answer.question or '(no transcript)'} -> {answer.answer or '(no answer)'}"
    events: list[dict[str, Any]] = [{"ph": "M", "name": "process_name", "pid": 1, "args": {"name": title}}]
    starts = start_times(timed.steps, timed.calls)
    for track, time in enumerate(timed.steps, 1):
        of_track: list[dict[str, Any]] = [
            {"ph": "M", "name": "thread_name", "args": {"name": time.step}},
            {"ph": "M", "name": "thread_sort_index", "args": {"sort_index": track}},
            *slices(time, starts[time.step]),
        ]
        events += [event | {"pid": 1, "tid": track} for event in of_track]
    trace = {"traceEvents": events, "otherData": {"round_trip_seconds": timed.round_trip_seconds}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(trace, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def start_times(times: Iterable[StepTime], calls: Iterable[Call]) -> dict[str, float]:
    """Return when each measured step starts, in seconds after the first; `calls` are the ensemble's, in order."""
    measured = {time.step: time.seconds for time in times}
    ready_at: dict[str, float] = {}  # seconds, by tensor of the ensemble
    starts: dict[str, float] = {}
    for call in calls:
        start = max((ready_at.get(tensor, 0.0) for tensor in call.inputs.values()), default=0.0)
        if call.step in measured:
            starts[call.step] = start
        ready_at |= dict.fromkeys(call.outputs.values(), start + measured.get(call.step, 0.0))
    return starts


def slices(time: StepTime, start_seconds: float) -> list[dict[str, Any]]:
    """Return a slice for the step and one for each part inside it, in whole microseconds so that they nest exactly."""
    ends = [start_seconds]
    for part in PARTS:
        ends.append(ends[-1] + getattr(time, f"{part}_seconds"))
    bounds = [round(1e6 * end) for end in ends]
    spans = [(time.step, bounds[0], bounds[-1]), *zip(PARTS, bounds[:-1], bounds[1:], strict=True)]
    args = {"requests": time.requests}
    return [{"ph": "X", "name": name, "ts": start, "dur": end - start, "args": args} for name, start, end in spans]
