from dataclasses import replace

import pytest

from convai.description.pipeline import ENSEMBLES, STEPS, Call, Ensemble, Step, Tensor
from convai.description.recognisers import (
    JASPER,
    MOONSHINE,
    RECOGNISER_STEP_NAMES,
    RECOGNISERS,
    ensembles_with,
    steps_with,
)
from convai.description.wire_names import plain_name, wire_name
from convai.description.wiring import WiringError, check_every_output_is_used, wire, wiring_of

DOUBLE = Step("double", inputs=(Tensor("x", "FP32", (-1,)),), outputs=(Tensor("y", "FP32", (-1,)),))
COUNT = Step("count", inputs=(Tensor("y", "FP32", (-1,)),), outputs=(Tensor("n", "INT32", (1,)),))
COUNT_FROM = replace(COUNT, inputs=(*COUNT.inputs, Tensor("first", "INT32", (1,), optional=True)))
SPLIT = Step(
    "split",
    inputs=(Tensor("x", "FP32", (-1,)),),
    outputs=(Tensor("part", "FP32", (-1,)), Tensor("index", "INT32", (1,))),
    is_decoupled=True,
)
SPLIT_AGAIN = replace(SPLIT, name="split_again")
CALL_SPLIT_AGAIN = Call("split_again", inputs={"x": "part"}, outputs={"part": "z", "index": "i"})


def small_ensemble(*calls, inputs=("x",), outputs=("n",), steps=(DOUBLE, COUNT)):
    return wire(Ensemble("small", inputs, outputs, calls), {step.name: step for step in steps})


def test_an_ensemble_wires_equal_names_together():
    wiring = small_ensemble(Call("double"), Call("count"))
    assert wiring.calls[1].inputs == {"y": "y"}
    assert wiring.outputs == (Tensor("n", "INT32", (1,)),)


def test_an_optional_input_is_wired_only_where_there_is_such_a_tensor():
    assert small_ensemble(Call("double"), Call("count"), steps=(DOUBLE, COUNT_FROM)).calls[1].inputs == {"y": "y"}
    wiring = small_ensemble(Call("double"), Call("count"), inputs=("x", "first"), steps=(DOUBLE, COUNT_FROM))
    assert wiring.calls[1].inputs == {"y": "y", "first": "first"}


def test_an_input_of_the_ensemble_is_optional_if_it_is_for_every_step_that_takes_it():
    double_from = replace(DOUBLE, inputs=(*DOUBLE.inputs, Tensor("first", "INT32", (1,))))
    for double, optional in ((DOUBLE, True), (double_from, False)):
        wiring = small_ensemble(Call("double"), Call("count"), inputs=("x", "first"), steps=(double, COUNT_FROM))
        assert wiring.inputs[1] == Tensor("first", "INT32", (1,), optional)


@pytest.mark.parametrize(
    ("calls", "options", "message"),
    [
        ((Call("dubble"), Call("count")), {}, "unknown step dubble"),
        ((Call("double", inputs={"z": "x"}), Call("count")), {}, "double has no input z"),
        ((Call("double", outputs={"y": "w"}), Call("count")), {}, "count needs tensor y"),
        ((Call("double"), Call("double"), Call("count")), {}, "tensor y is produced twice, by double and double"),
        ((Call("double"), Call("count")), {"inputs": ("x", "v")}, "no step consumes the input v"),
        ((Call("double"), Call("count")), {"outputs": ("n", "m")}, "no step produces the output m"),
        ((Call("double"), Call("count")), {"outputs": ("n", "y")}, "output y is also consumed by step count; .*double"),
        ((Call("double"), Call("count"), Call("double", outputs={"y": "v"})), {}, r"outputs of step double \(v\)"),
        (
            (Call("double"), Call("count")),
            {"steps": (DOUBLE, replace(COUNT, inputs=(Tensor("y", "INT32", (-1,)),)))},
            "y leaves double as FP32, count takes INT32",
        ),
        (
            (Call("double"), Call("count")),
            {"steps": (DOUBLE, replace(COUNT, inputs=(Tensor("y", "FP32", (-1, 2)),)))},
            r"y leaves double with dims \[-1\], count takes \[-1, 2\]",
        ),
    ],
)
def test_a_wrong_description_is_refused_with_the_step_and_the_tensor(calls, options, message):
    with pytest.raises(WiringError, match=f"^small: .*{message}"):
        small_ensemble(*calls, **options)


def test_an_output_that_no_ensemble_uses_is_refused():
    wasteful = replace(DOUBLE, outputs=(*DOUBLE.outputs, Tensor("spare", "FP32", (1,))))
    small = Ensemble("small", ("x",), ("n",), (Call("double"), Call("count")))
    steps = {"double": wasteful, "count": COUNT}
    with pytest.raises(WiringError, match="double.*spare"):
        check_every_output_is_used(steps.values(), [wire(small, steps)])


def test_a_decoupled_step_makes_the_ensemble_decoupled():
    double = Call("double", inputs={"x": "part"})
    for calls, outputs in (((Call("split"), double, Call("count")), ("n", "index")), ((Call("split"),), ("part",))):
        assert small_ensemble(*calls, outputs=outputs, steps=(SPLIT, DOUBLE, COUNT)).is_decoupled
    assert not small_ensemble(Call("double"), Call("count")).is_decoupled
    assert small_ensemble(Call("split"), CALL_SPLIT_AGAIN, outputs=("z", "i"), steps=(SPLIT, SPLIT_AGAIN)).is_decoupled


@pytest.mark.parametrize(
    ("calls", "outputs", "message"),
    [
        ((Call("split"), Call("double", outputs={"y": "n"})), ("index", "n"), "caller takes index, .*split, and n,"),
        (
            (Call("split"), Call("count_from", inputs={"y": "part", "first": "v"})),
            ("n",),
            "count_from takes part, .*and v,",
        ),
        ((Call("split"), CALL_SPLIT_AGAIN), ("z", "index"), "caller takes z, .*split_again, and index, which did not"),
    ],
)
def test_a_tensor_that_passed_a_decoupled_step_is_not_combined_with_one_that_did_not(calls, outputs, message):
    inputs = ("x", "v") if "count_from" in message else ("x",)
    steps = (SPLIT, SPLIT_AGAIN, DOUBLE, replace(COUNT_FROM, name="count_from"))
    with pytest.raises(WiringError, match=message):
        small_ensemble(*calls, inputs=inputs, outputs=outputs, steps=steps)


def test_no_exposed_tensor_of_the_pipeline_is_consumed():
    for wiring in (wiring_of(ensemble.name) for ensemble in ENSEMBLES):
        consumed = {edge for call in wiring.calls for edge in call.inputs.values()}
        assert not consumed & {tensor.name for tensor in wiring.outputs}


def test_libtorch_outputs_carry_their_position():
    tensor = Tensor("mel_length", "INT32", (1,))
    assert wire_name(tensor, 1, "pytorch") == "mel_length__1"
    assert wire_name(tensor, 1, "onnxruntime") == "mel_length"
    assert plain_name("mel_length__1") == plain_name("mel_length") == "mel_length"


def test_with_jasper_the_pipeline_is_as_described():
    assert steps_with(JASPER) == STEPS
    assert ensembles_with(JASPER) == ENSEMBLES


@pytest.mark.parametrize("recogniser", RECOGNISERS.values(), ids=RECOGNISERS)
@pytest.mark.parametrize("ensemble", [ensemble.name for ensemble in ENSEMBLES])
def test_a_caller_sees_the_same_tensors_with_every_recogniser(ensemble, recogniser):
    one, other = wiring_of(ensemble), wiring_of(ensemble, recogniser)
    assert (other.inputs, other.outputs) == (one.inputs, one.outputs)


@pytest.mark.parametrize("recogniser", RECOGNISERS.values(), ids=RECOGNISERS)
def test_only_the_steps_of_the_recogniser_differ(recogniser):
    def calls_of(recogniser, is_recognition):
        calls = wiring_of("convai_ensemble", recogniser).calls
        return [call for call in calls if (call.step in RECOGNISER_STEP_NAMES) == is_recognition]

    assert calls_of(recogniser, False) == calls_of(JASPER, False)
    assert [call.step for call in calls_of(recogniser, True)] == [step.name for step in recogniser.steps]


@pytest.mark.parametrize("recogniser", RECOGNISERS.values(), ids=RECOGNISERS)
def test_a_recogniser_receives_the_context_where_there_is_one(recogniser):
    def inputs_of(ensemble):
        calls = wiring_of(ensemble, recogniser).calls
        return {edge for call in calls if call.step in RECOGNISER_STEP_NAMES for edge in call.inputs.values()}

    assert "context" in inputs_of("convai_ensemble")
    assert "context" not in inputs_of("speech_to_text")
    assert not any(tensor.optional for tensor in wiring_of("convai_ensemble", recogniser).inputs)


def test_a_recogniser_that_takes_no_context_is_refused():  # Triton could not return the question alone
    (moonshine,) = MOONSHINE.steps
    without_context = replace(MOONSHINE, steps=(replace(moonshine, inputs=moonshine.inputs[:2]),))
    with pytest.raises(WiringError, match="output question does not depend on the input context; let step moonshine"):
        wiring_of("convai_ensemble", without_context)
