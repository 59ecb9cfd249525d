"""A new server is asked silent questions before anyone else asks."""

from dataclasses import dataclass, field

from convai.backends.management.control import ControlError
from convai.backends.management.warm_up import ENSEMBLE, SILENCE, warm_up
from convai.client.steps import requests_between
from convai.description.wiring import wiring_of


@dataclass
class FakeControl:
    models: list[str]
    error: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def ready_models(self):
        return self.models

    def infer(self, model, inputs, outputs, timeout_seconds):
        self.asked.append(model)
        if self.error:
            raise self.error


def test_one_question_runs_every_step(server, client):
    steps = [call.step for call in wiring_of(ENSEMBLE).calls]
    before = client.read_counters()
    warm_up(server.control, 1)
    after = client.wait_for_counters(before, steps)
    assert [step for step in steps if requests_between(before, after, step) != 1] == []


def test_the_silent_question_is_one_of_the_pipeline():
    assert SILENCE.keys() == {tensor.name for tensor in wiring_of(ENSEMBLE).inputs}


def test_as_many_questions_are_asked_as_wanted():
    control = FakeControl([ENSEMBLE])
    warm_up(control, 3)
    warm_up(control, 0)
    assert control.asked == [ENSEMBLE] * 3


def test_a_server_without_the_pipeline_is_left_alone():
    control = FakeControl(["my_model"])
    warm_up(control)
    assert control.asked == []


def test_a_failure_is_told_and_does_not_stop_the_server(capsys):
    warm_up(FakeControl([ENSEMBLE], ControlError("jasper: out of memory")))
    assert capsys.readouterr().err == "warm-up: jasper: out of memory\n"
