from dataclasses import replace

import grpc
import numpy as np
import pytest
from support.fake_triton import FakeTriton, serving

from benchmarks.speed.closed_loop import Load
from benchmarks.speed.measured_server import MeasuredServer
from benchmarks.speed.overload import main
from benchmarks.speed.overload_report import Attempt, OverloadReport, Phase
from benchmarks.speed.overload_run import overload
from benchmarks.speed.question_set import Question
from benchmarks.speed.server_memory import Memory

QUESTIONS = [Question(np.full(1600, 0.1, np.float32), 16_000, context) for context in ("Ada wrote it.", "Bob did.")]
OUTPUTS = {
    "question": np.array([[b"who wrote it"]], object),
    "answer": np.array([[b"Ada"]], object),
    "answer_score": np.array([[0.9]], np.float32),
    "answer_span": np.array([[0, 3]], np.int32),
    "answer_audio": np.zeros((1, 100), np.float32),
}


def overloaded(fake, in_flight=4, seconds=0.3):
    with serving(fake) as address:
        return overload(MeasuredServer(address, None, None), QUESTIONS, Load(in_flight, seconds), 10)


def unmet(report):
    return [verdict.promise for verdict in report.verdicts if not verdict.is_met]


class FullQueue(FakeTriton):
    """Takes one request at a time and refuses another, as Triton does."""

    running = 0

    def ModelInfer(self, request, context):
        if self.running:
            context.abort(grpc.StatusCode.UNAVAILABLE, "in ensemble 'convai_ensemble', Exceeds maximum queue size")
        self.running += 1
        try:
            return super().ModelInfer(request, context)
        finally:
            self.running -= 1


def test_what_a_server_refuses_and_what_it_answers_is_told_apart():
    report = overloaded(FullQueue(OUTPUTS, delay_seconds=0.1))
    alone, flood, afterwards = report.phases
    assert (len(alone.answered), len(afterwards.answered)) == (2, 2)
    assert flood.answered and flood.refused and not flood.failed
    assert "Exceeds maximum queue size" in report.text()
    assert unmet(report) == []


class DyingStub(FakeTriton):
    """Answers a few requests, and then none."""

    def ModelInfer(self, request, context):
        if len(self.requests) > 5:
            context.abort(grpc.StatusCode.INTERNAL, "Stub process is not healthy")
        return super().ModelInfer(request, context)


def test_an_error_other_than_a_refusal_is_a_failure():
    assert "nothing fails but by refusal" in unmet(overloaded(DyingStub(OUTPUTS), 2, 0.05))


def test_a_server_that_answers_every_request_in_time_passes(server):
    measured = MeasuredServer(server.grpc_address, server.process.pid, None)
    report = overload(measured, QUESTIONS, Load(3, 0.5), 60)
    assert len(report.phases[1].answered) >= 3
    assert "no process dies" not in unmet(report)
    assert report.wrong == 0


def attempt(seconds=1.0, text=("who", "Ada"), **other):
    return Attempt(0, seconds, text, **({"is_refused": False, "failure": None} | other))


def refusal(seconds):
    return attempt(seconds, None, is_refused=True, failure="full")


def memory(*sizes):
    return tuple(Memory(12, size, size) for size in sizes)


GOOD = OverloadReport(
    4,
    60.0,
    (
        Phase("before", 1.0, (attempt(),), memory(100)),
        Phase("flood", 60.0, (attempt(9.0), refusal(0.1)), memory(100, 150, 150, 155)),
        Phase("after", 1.0, (attempt(1.1),), memory(140)),
    ),
    same_processes=True,
)


def with_phase(index, **changes):
    phases = list(GOOD.phases)
    phases[index] = replace(phases[index], **changes)
    return replace(GOOD, phases=tuple(phases))


def test_a_good_run_meets_every_promise():
    assert unmet(GOOD) == []


@pytest.mark.parametrize(
    ("report", "broken"),
    [
        (replace(GOOD, same_processes=False), "no process dies"),
        (with_phase(1, memory=memory(100, 110, 120, 130)), "memory stays within"),
        (with_phase(1, attempts=(attempt(text=("who", "Bob")),)), "every answer is that of the question asked alone"),
        (with_phase(2, attempts=(attempt(text=("how", "Ada")),)), "every answer is that of the question asked alone"),
        (with_phase(1, attempts=(attempt(text=None, failure="gone"),)), "nothing fails but by refusal"),
        (with_phase(1, attempts=(refusal(1.5),)), "refusals within 1 s"),
        (with_phase(1, attempts=(attempt(20.0),) * 150), "at most 40 questions inside"),
        (with_phase(2, attempts=(attempt(1.3),)), "p50 afterwards"),
        (with_phase(2, attempts=(attempt(text=None, failure="gone"),)), "p50 afterwards"),
    ],
)
def test_each_promise_can_be_broken(report, broken):
    assert any(promise.startswith(broken) for promise in unmet(report))


def test_the_table_has_a_line_for_each_phase():
    lines = GOOD.text().splitlines()
    assert lines[2].split() == "flood 2 1 1 0 0.02 9.00 9.00 0.10 0.10 0".split()


@pytest.mark.parametrize("option", ["--in-flight=0", "--seconds=0", "--server=127.0.0.1:1"])
def test_mistakes_are_told_in_one_line(option, capsys):
    assert main([option]) == 1
    assert capsys.readouterr().err.startswith("overload: ")
