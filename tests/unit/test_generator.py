from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from convai.description.pipeline import ENSEMBLES, STEPS, Call, Ensemble, Step, Tensor
from convai.description.recognisers import ALL_MODEL_NAMES
from convai.description.wire_names import plain_name, wire_name
from convai.description.wiring import WiringError, check_every_output_is_used, wire, wiring_of
from convai.generator import graph
from convai.generator.check import check_all, check_configs, check_repository
from convai.generator.profiles import PROFILES
from convai.generator.render import render, write

MODEL_REPOSITORY = Path(__file__).parent.parent.parent / "model_repository"

DOUBLE = Step("double", inputs=(Tensor("x", "FP32", (-1,)),), outputs=(Tensor("y", "FP32", (-1,)),))
COUNT = Step("count", inputs=(Tensor("y", "FP32", (-1,)),), outputs=(Tensor("n", "INT32", (1,)),))
COUNT_FROM = replace(COUNT, inputs=(*COUNT.inputs, Tensor("first", "INT32", (1,), optional=True)))


def small_ensemble(*calls, inputs=("x",), outputs=("n",), steps=(DOUBLE, COUNT)):
    return wire(Ensemble("small", inputs, outputs, calls), {step.name: step for step in steps})


def cpu_configs():
    return {
        name.split("/")[0]: text_format.Parse(text, ModelConfig())
        for name, text in render(profiles=[PROFILES["cpu"]]).items()
    }


def test_committed_model_repository_equals_a_fresh_render():
    files = (path for name in ALL_MODEL_NAMES for path in (MODEL_REPOSITORY / name).rglob("*.pbtxt"))
    assert {str(path.relative_to(MODEL_REPOSITORY)): path.read_text() for path in files} == render()


def test_every_profile_of_the_committed_repository_passes_the_checks():
    assert len(check_all(MODEL_REPOSITORY)) == len(PROFILES)


def test_an_ensemble_wires_equal_names_together():
    wiring = small_ensemble(Call("double"), Call("count"))
    assert wiring.calls[1].inputs == {"y": "y"}
    assert wiring.outputs == (Tensor("n", "INT32", (1,)),)


def test_an_optional_input_is_wired_only_where_there_is_such_a_tensor():
    assert small_ensemble(Call("double"), Call("count"), steps=(DOUBLE, COUNT_FROM)).calls[1].inputs == {"y": "y"}
    wiring = small_ensemble(Call("double"), Call("count"), inputs=("x", "first"), steps=(DOUBLE, COUNT_FROM))
    assert wiring.calls[1].inputs == {"y": "y", "first": "first"}


def test_the_caller_may_leave_out_what_no_step_insists_on():
    double_from = replace(DOUBLE, inputs=(*DOUBLE.inputs, Tensor("first", "INT32", (1,))))
    calls = Call("double"), Call("count")
    for double, optional in ((DOUBLE, True), (double_from, False)):
        wiring = small_ensemble(*calls, inputs=("x", "first"), steps=(double, COUNT_FROM))
        assert wiring.inputs[1] == Tensor("first", "INT32", (1,), optional)


def test_only_a_question_about_a_text_is_heard_with_the_text_in_mind():
    decoders = [call for name in ("convai_ensemble", "speech_to_text") for call in wiring_of(name).calls]
    heard_with = [set(call.inputs) for call in decoders if call.step == "ctc_decoder"]
    assert heard_with == [{"log_probs", "log_probs_length", "context"}, {"log_probs", "log_probs_length"}]
    assert not any(tensor.optional for tensor in wiring_of("convai_ensemble").inputs)


@pytest.mark.parametrize(
    ("calls", "options", "words"),
    [
        ((Call("dubble"), Call("count")), {}, ["dubble", "not described"]),
        ((Call("double", inputs={"z": "x"}), Call("count")), {}, ["double", "no input z"]),
        ((Call("double", outputs={"y": "w"}), Call("count")), {}, ["count", "needs tensor y"]),
        ((Call("double"), Call("double"), Call("count")), {}, ["tensor y", "made twice", "double"]),
        ((Call("double"), Call("count")), {"inputs": ("x", "v")}, ["no step consumes the input v"]),
        ((Call("double"), Call("count")), {"outputs": ("n", "m")}, ["no step makes the output m"]),
        ((Call("double"), Call("count")), {"outputs": ("n", "y")}, ["output y", "consumed by step count", "double"]),
        ((Call("double"), Call("count"), Call("double", inputs={"x": "x"}, outputs={"y": "v"})), {}, ["double", "v"]),
    ],
)
def test_a_wrong_description_fails_with_a_sentence_that_names_step_and_tensor(calls, options, words):
    with pytest.raises(WiringError) as failure:
        small_ensemble(*calls, **options)
    for word in words:
        assert word in str(failure.value)


@pytest.mark.parametrize(
    ("taken", "words"), [(("INT32", (-1,)), ["y", "FP32", "INT32"]), (("FP32", (-1, 2)), ["y", "[-1]", "[-1, 2]"])]
)
def test_an_edge_whose_ends_differ_is_refused(taken, words):
    count = replace(COUNT, inputs=(Tensor("y", *taken),))
    with pytest.raises(WiringError) as failure:
        small_ensemble(Call("double"), Call("count"), steps=(DOUBLE, count))
    for word in ("double", "count", *words):
        assert word in str(failure.value)


def test_an_output_that_no_ensemble_uses_is_refused():
    wasteful = replace(DOUBLE, outputs=(*DOUBLE.outputs, Tensor("spare", "FP32", (1,))))
    small = Ensemble("small", ("x",), ("n",), (Call("double"), Call("count")))
    steps = {"double": wasteful, "count": COUNT}
    with pytest.raises(WiringError, match="double.*spare"):
        check_every_output_is_used(steps.values(), [wire(small, steps)])


def test_a_network_without_an_engine_is_refused():
    cpu = PROFILES["cpu"]
    with pytest.raises(WiringError, match="jasper.*network needs an engine"):
        render(profiles=[replace(cpu, settings=cpu.settings | {"jasper": cpu.settings["ctc_decoder"]})])


def test_a_hand_edited_config_with_another_dtype_is_noticed():
    configs = cpu_configs()
    configs["jasper"].input[1].data_type = DataType.TYPE_INT64
    with pytest.raises(WiringError, match="features_length.*speech_features.*INT32.*jasper.*INT64"):
        check_configs(configs)


def test_a_hand_edited_config_that_insists_on_an_optional_input_is_noticed():
    configs = cpu_configs()
    configs["convai_ensemble"].input[2].optional = True
    with pytest.raises(WiringError, match=r"context is declared BYTES \[1\], optional, its step has BYTES \[1\]$"):
        check_configs(configs)


def test_an_ensemble_with_a_larger_batch_than_its_step_is_noticed():
    configs = cpu_configs()
    configs["bert"].max_batch_size = 4
    with pytest.raises(WiringError, match="convai_ensemble: max_batch_size 8 exceeds that of step bert, 4"):
        check_configs(configs)


def test_a_mapped_output_that_nothing_uses_is_noticed():
    configs = cpu_configs()
    configs["speech_to_text"].ensemble_scheduling.step[2].output_map["transcript"] = "transcript"
    with pytest.raises(WiringError, match="speech_to_text.*ctc_decoder.*transcript"):
        check_configs(configs)


def test_an_input_wired_to_nothing_is_noticed():
    configs = cpu_configs()
    del configs["speech_to_text"].ensemble_scheduling.step[0].input_map["sample_rate"]
    with pytest.raises(WiringError, match="sample_rate.*speech_features.*nothing"):
        check_configs(configs)


def test_a_profile_missing_in_one_folder_is_noticed(tmp_path):
    write(render(), tmp_path)
    (tmp_path / "bert" / "configs" / "gpu.pbtxt").unlink()
    with pytest.raises(ValueError, match="bert.configs.gpu.pbtxt is missing"):
        check_repository(tmp_path, PROFILES["gpu"])


def test_a_name_unlike_its_folder_is_noticed(tmp_path):
    write(render(), tmp_path)
    path = tmp_path / "bert" / "config.pbtxt"
    path.write_text(path.read_text().replace('name: "bert"', 'name: "bart"'))
    with pytest.raises(ValueError, match="name is 'bart', but its folder is 'bert'"):
        check_repository(tmp_path, PROFILES["cpu"])


def test_writing_twice_changes_nothing_the_second_time(tmp_path):
    assert write(render(), tmp_path)
    assert write(render(), tmp_path) == []


def test_libtorch_outputs_carry_their_position_and_lose_it_again():
    tensor = Tensor("mel_length", "INT32", (1,))
    assert wire_name(tensor, 1, "pytorch") == "mel_length__1"
    assert wire_name(tensor, 1, "onnxruntime") == "mel_length"
    assert plain_name("mel_length__1") == plain_name("mel_length") == "mel_length"


def test_no_exposed_tensor_of_the_pipeline_is_consumed():
    steps = {step.name: step for step in STEPS}
    for wiring in (wire(ensemble, steps) for ensemble in ENSEMBLES):
        consumed = {edge for call in wiring.calls for edge in call.inputs.values()}
        assert not consumed & {tensor.name for tensor in wiring.outputs}


def test_the_graph_names_every_step_and_exposed_tensor():
    text = graph.mermaid(wiring_of("convai_ensemble_stream"))
    ensemble = next(ensemble for ensemble in ENSEMBLES if ensemble.name == "convai_ensemble_stream")
    steps = {step.name for step in STEPS} - {"mel_padder"}  # mel_splitter stands in its place
    for name in [*steps, *ensemble.outputs, *ensemble.inputs]:
        assert name in text


@pytest.mark.parametrize(("suffix", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_the_graph_is_drawn_as_a_picture(tmp_path, suffix, start):
    path = tmp_path / f"pipeline.{suffix}"
    graph.draw(wiring_of("text_to_speech"), str(path))
    assert path.read_bytes().startswith(start)


SPLIT = Step(
    "split",
    inputs=(Tensor("x", "FP32", (-1,)),),
    outputs=(Tensor("part", "FP32", (-1,)), Tensor("index", "INT32", (1,))),
    is_decoupled=True,
)


# A second decoupled step takes what came through the first.
AGAIN = replace(SPLIT, name="split_again")
SPLIT_AGAIN = Call("split_again", inputs={"x": "part"}, outputs={"part": "z", "index": "i"})


def test_what_came_through_a_decoupled_step_makes_the_ensemble_decoupled():
    double = Call("double", inputs={"x": "part"})
    for calls, outputs in (((Call("split"), double, Call("count")), ("n", "index")), ((Call("split"),), ("part",))):
        assert small_ensemble(*calls, outputs=outputs, steps=(SPLIT, DOUBLE, COUNT)).is_decoupled
    assert not small_ensemble(Call("double"), Call("count")).is_decoupled
    assert small_ensemble(Call("split"), SPLIT_AGAIN, outputs=("z", "i"), steps=(SPLIT, AGAIN)).is_decoupled


@pytest.mark.parametrize(
    ("calls", "outputs", "words"),
    [
        ((Call("split"), Call("double", outputs={"y": "n"})), ("index", "n"), ["the caller", "index", "split", "n,"]),
        ((Call("split"), Call("count_from", inputs={"y": "part", "first": "v"})), ("n",), ["count_from", "part", "v,"]),
        (
            (Call("split"), SPLIT_AGAIN),
            ("z", "index"),
            ["the caller", "z,", "split_again", "index", "which did not"],
        ),
    ],
)
def test_what_came_through_a_decoupled_step_is_joined_with_nothing_else(calls, outputs, words):
    inputs = ("x", "v") if "v," in words else ("x",)
    steps = (SPLIT, AGAIN, DOUBLE, replace(COUNT_FROM, name="count_from"))
    with pytest.raises(WiringError) as failure:
        small_ensemble(*calls, inputs=inputs, outputs=outputs, steps=steps)
    for word in words:
        assert word in str(failure.value)
