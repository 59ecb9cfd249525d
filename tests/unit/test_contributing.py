"""A step is added by describing it: what CONTRIBUTING lists is enough for the generator."""

from dataclasses import replace

import pytest

from convai.description import recognisers
from convai.description.pipeline import ENSEMBLES, STEPS, Call, Step, Tensor
from convai.description.wiring import WiringError
from convai.generator.profiles import build_profile
from convai.generator.render import render
from convai.generator.targets import CPU
from convai.generator.weight_sets import read_weight_set

TRANSLATOR = Step(
    "translator",
    inputs=(Tensor("sentence", "BYTES", (1,)),),
    outputs=(Tensor("translation", "BYTES", (1,)),),
)


def add_translator(ensemble, tensor):
    """The ensemble with the step before `text_encoder`, which reads the named tensor instead of the sentence."""
    old = Call("text_encoder", inputs={"text": "sentence"})
    new = (Call("translator"), Call("text_encoder", inputs={"text": tensor}))
    calls = [call for each in ensemble.calls for call in (new if each == old else (each,))]
    return replace(ensemble, calls=tuple(calls))


@pytest.fixture
def render_with_translator(monkeypatch):
    def render_default_profile(tensor):
        monkeypatch.setattr(recognisers, "STEPS", (*STEPS, TRANSLATOR))
        monkeypatch.setattr(recognisers, "ENSEMBLES", [add_translator(ensemble, tensor) for ensemble in ENSEMBLES])
        return render([build_profile("cpu", CPU, read_weight_set("default"))])

    return render_default_profile


def test_a_described_step_is_configured_and_wired(render_with_translator):
    files = render_with_translator("translation")
    assert 'name: "translation"' in files["translator/config.pbtxt"]
    assert 'model_name: "translator"' in files["convai_ensemble/config.pbtxt"]


def test_a_wrong_wire_names_ensemble_step_and_tensor(render_with_translator):
    with pytest.raises(WiringError, match=r"convai_ensemble: .*text_encoder.* translated"):
        render_with_translator("translated")
