from dataclasses import replace

import grpc
import numpy as np
import pytest
from support.fake_triton import FakeTriton, serving

from benchmarks.speed.closed_loop import Load
from benchmarks.speed.measured_server import MeasuredServer
from benchmarks.speed.overload import Attempt, OverloadReport, Phase, overload
from benchmarks.speed.question_set import Question

QUESTIONS = [Question(np.full(1600, 0.1, np.float32), 16_000, context) for context in ("Ada wrote it.", "Bob did.")]
OUTPUTS = {
    "question": np.array([[b"who wrote it"]], object),
    "answer": np.array([[b"Ada"]], object),
    "answer_score": np.array([[0.9]], np.float32),
    "answer_span": np.array([[0, 3]], np.int32),
    "answer_audio": np.zeros((1, 100), np.float32),
}


def overload_fake(fake, in_flight=4, seconds=0.3):
    with serving(fake) as address:
        return overload(MeasuredServer(address, None), QUESTIONS, Load(in_flight, seconds), 10)


def list_missed(report):
    return [verdict.requirement for verdict in report.judge() if not verdict.is_met]


class FullQueue(FakeTriton):
    """Takes one request at a time and rejects others, as Triton does."""

    running = 0

    def ModelInfer(self, request, context):
        if self.running:
            context.abort(grpc.StatusCode.UNAVAILABLE, "in ensemble 'convai_ensemble', Exceeds maximum queue size")
        self.running += 1
        try:
            return super().ModelInfer(request, context)
        finally:
            self.running -= 1


def test_rejections_are_counted_apart_from_answers():
    report = overload_fake(FullQueue(OUTPUTS, delay_seconds=0.1))
    assert (len(report.before.answered), len(report.after.answered)) == (2, 2)
    assert report.flood.answered and report.flood.rejected and not report.flood.failed
    assert "Exceeds maximum queue size" in report.format()
    assert list_missed(report) == []


ANSWERED = Attempt(0, 1.0, ("who", "Ada"))
FAILED = Attempt(0, 1.0, error="gone")
GOOD = OverloadReport(
    Phase("before", 1.0, [ANSWERED], [100e6]),
    Phase(
        "flood",
        60.0,
        [replace(ANSWERED, seconds=9.0), Attempt(0, 0.1, is_rejected=True, error="full")],
        [100e6, 150e6, 150e6, 155e6],
    ),
    Phase("after", 1.0, [replace(ANSWERED, seconds=1.1)], [140e6]),
    same_processes=True,
)


def change_phase(name, **changes):
    return replace(GOOD, **{name: replace(getattr(GOOD, name), **changes)})


def test_a_good_run_meets_every_requirement():
    assert list_missed(GOOD) == []
    assert GOOD.format().splitlines()[2].split() == "flood 2 1 1 0 0.02 9.00 9.00 0.10 0.10 155.00".split()


@pytest.mark.parametrize(
    ("report", "missed"),
    [
        (replace(GOOD, same_processes=False), "no process dies"),
        (change_phase("flood", pss_bytes=[100e6, 110e6, 120e6, 130e6]), "memory grows"),
        (change_phase("flood", attempts=[replace(ANSWERED, text=("who", "Bob"))]), "every answer equals"),
        (change_phase("after", attempts=[replace(ANSWERED, text=("how", "Ada"))]), "every answer equals"),
        (change_phase("flood", attempts=[FAILED]), "no error but rejections"),
        (change_phase("flood", attempts=[Attempt(0, 1.5, is_rejected=True, error="full")]), "rejections take"),
        (change_phase("flood", attempts=[replace(ANSWERED, seconds=20.0)] * 150), "at most 40 questions inside"),
        (change_phase("after", attempts=[replace(ANSWERED, seconds=1.3)]), "p50 grows"),
        (change_phase("after", attempts=[FAILED]), "p50 grows"),
    ],
)
def test_each_requirement_can_be_missed(report, missed):
    assert any(requirement.startswith(missed) for requirement in list_missed(report))
