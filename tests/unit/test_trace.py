import json

from convai.client import Answer
from convai.client.steps import StepTime, TimedAnswer
from convai.client.trace import start_times, write_trace
from convai.description.pipeline import Call

FORK = (
    Call("first", {"x": "asked"}, {"y": "a"}),
    Call("left", {"x": "a"}, {"y": "b"}),
    Call("right", {"x": "a"}, {"y": "c"}),
    Call("last", {"x": "b", "z": "c"}, {"y": "answer"}),
)


def times(**milliseconds):
    """Steps with a total time each, spent in four equal parts."""
    return tuple(StepTime(step, 1, *[value / 4000] * 4) for step, value in milliseconds.items())


def starts(measured):
    return {step: round(1000 * seconds, 6) for step, seconds in start_times(measured, FORK).items()}


def test_a_step_starts_where_the_last_step_that_it_waits_for_ends():
    measured = times(first=4, left=8, right=40, last=2)
    assert starts(measured) == {"first": 0, "left": 4, "right": 4, "last": 44}


def test_a_step_that_was_not_measured_takes_no_time():
    assert starts(times(first=4, left=8, last=2)) == {"first": 0, "left": 4, "last": 12}


def test_a_trace_has_a_track_per_step_whose_parts_lie_inside_it(tmp_path):
    answer, measured = Answer(question="who wrote it", answer="Zoë"), times(first=0.0017, left=8, right=40, last=0.3333)
    file = tmp_path / "traces" / "trace.json"
    write_trace(file, "question.wav", TimedAnswer(answer, FORK, measured, 0.1))
    trace = json.loads(file.read_text(encoding="utf-8"))
    assert trace["traceEvents"][0]["args"]["name"] == "question.wav: who wrote it -> Zoë"
    assert trace["otherData"] == {"round_trip_seconds": 0.1}
    for track, step in enumerate(("first", "left", "right", "last"), 1):
        label, order, whole, *parts = [event for event in trace["traceEvents"] if event.get("tid") == track]
        assert label["args"]["name"] == whole["name"] == step and order["args"]["sort_index"] == track
        assert [part["name"] for part in parts] == ["queue", "input", "infer", "output"]
        ends = [part["ts"] + part["dur"] for part in parts]
        assert [whole["ts"], *ends[:-1]] == [part["ts"] for part in parts]
        assert ends[-1] == whole["ts"] + whole["dur"]
