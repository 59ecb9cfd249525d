import numpy as np
import pytest
from matplotlib.image import imread

from convai.client import Answer
from convai.client.step_times import StepTime, TimedAnswer
from convai.client.timeline import draw_timeline, lanes
from convai.description.pipeline import Call

FORK = (
    Call("first", {"x": "asked"}, {"y": "a"}),
    Call("left", {"x": "a"}, {"y": "b"}),
    Call("right", {"x": "a"}, {"y": "c"}),
    Call("last", {"x": "b", "z": "c"}, {"y": "told"}),
)


def times(requests=1, **milliseconds):
    """A step of so many milliseconds each, spent in four equal parts."""
    return tuple(StepTime(step, requests, *[value / 4000] * 4) for step, value in milliseconds.items())


def starts(measured, calls=FORK):
    return {lane.time.step: round(1000 * lane.start_seconds, 6) for lane in lanes(measured, calls)}


def test_a_step_begins_where_the_last_step_that_it_waits_for_ends():
    measured = times(first=4, left=8, right=40, last=2)
    assert starts(measured) == {"first": 0, "left": 4, "right": 4, "last": 44}


def test_a_step_that_was_not_measured_takes_no_time_and_no_lane():
    assert starts(times(first=4, left=8, last=2)) == {"first": 0, "left": 4, "last": 12}


@pytest.mark.parametrize(
    ("question", "answer", "measured"),
    [
        ("who wrote it", "Ada", times(first=4, left=80, right=8, last=0.1)),
        ("", "", times(first=4, last=2)),
        ("it costs $5 or $6, " * 20, "$5", times(7, first=4, left=8, right=40, last=2)),
    ],
    ids=["an answer", "no answer and few steps", "a long question with dollars while others ask"],
)
def test_is_drawn(question, answer, measured, tmp_path):
    path = tmp_path / "pictures" / "timeline.png"
    draw_timeline(path, "question.wav", TimedAnswer(Answer(question=question, answer=answer), measured, 0.1), FORK)
    picture = imread(path)
    assert picture.shape[1] == 1440
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 50
