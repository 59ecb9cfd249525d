"""The inputs and outputs of exported networks are compared with the configurations that serve them."""

import json
from argparse import ArgumentParser
from dataclasses import replace
from zipfile import ZipFile

import onnx
import pytest

from convai.description.pipeline import N_GROUP, STEPS, Step, Tensor
from convai.errors import InvalidArgument
from convai.generator import generate
from convai.generator.exported_files import (
    compare,
    compare_files,
    describe_interface,
    read_interface,
    refuse_unserved,
)
from convai.generator.profiles import PROFILES
from convai.generator.render import render, write

WAVEGLOW = next(step for step in STEPS if step.name == "waveglow")
DEFAULT, NVIDIA = PROFILES["cpu"], PROFILES["cpu-nvidia"]
ONNX_TYPES = {"FP32": onnx.TensorProto.FLOAT, "INT32": onnx.TensorProto.INT32, "INT64": onnx.TensorProto.INT64}


def filled(step, n_group=64):
    """The step with its sizes, as an export has them."""
    inputs, outputs = (
        tuple(replace(one, dims=tuple(n_group if size == N_GROUP else size for size in one.dims)) for one in tensors)
        for tensors in (step.inputs, step.outputs)
    )
    return Step(step.name, inputs, outputs)


def save_onnx(step, path, batch="batch"):
    """Write a graph without nodes, whose inputs and outputs are those of the step."""
    inputs, outputs = (
        [
            onnx.helper.make_tensor_value_info(
                one.name,
                ONNX_TYPES[one.dtype],
                [batch, *(f"{one.name}_{axis}" if size == -1 else size for axis, size in enumerate(one.dims))],
            )
            for one in tensors
        ]
        for tensors in (step.inputs, step.outputs)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "empty", inputs, outputs)), path)


def save_torchscript(step, path):
    with ZipFile(path, "w") as archive:
        archive.writestr("model/extra/convai.json", json.dumps({"interface": describe_interface(step)}))


def save_plan(step, path):
    path.touch()
    path.with_name(f"{path.name}.json").write_text(json.dumps({"interface": describe_interface(step)}))


@pytest.mark.parametrize(
    ("save", "name"), [(save_onnx, "model.onnx"), (save_torchscript, "model.pt"), (save_plan, "model.plan")]
)
def test_every_format_says_what_it_takes_and_returns(save, name, tmp_path):
    expected = filled(WAVEGLOW)
    save(expected, tmp_path / name)
    assert compare(expected, read_interface(tmp_path / name)) == []


def test_a_file_without_a_record_and_one_that_is_damaged_are_refused(tmp_path):
    (tmp_path / "model.plan").touch()
    with pytest.raises(InvalidArgument, match=r"model\.plan has no record of its inputs and outputs; `convai export`"):
        read_interface(tmp_path / "model.plan")
    for name, kind in (("model.pt", "TorchScript"), ("model.onnx", "ONNX")):
        (tmp_path / name).write_bytes(b"\x0f not a network")
        with pytest.raises(InvalidArgument, match=f"{name} is not a valid {kind} file"):
            read_interface(tmp_path / name)


def test_a_fixed_batch_axis_is_refused(tmp_path):
    save_onnx(filled(WAVEGLOW), tmp_path / "model.onnx", batch=4)
    with pytest.raises(InvalidArgument, match="tensor padded_mel: expected a variable batch axis, got 4"):
        read_interface(tmp_path / "model.onnx")


MEL, Z = filled(WAVEGLOW).inputs


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ((MEL, replace(Z, dims=(8, -1))), "input z: expected FP32 [64, -1], got FP32 [8, -1]"),
        ((MEL, replace(Z, dims=(64,))), "input z: expected FP32 [64, -1], got FP32 [64]"),
        ((MEL, replace(Z, dims=(64, 9))), "input z: expected FP32 [64, -1], got FP32 [64, 9]"),
        ((MEL, replace(Z, dtype="FP16")), "input z: expected FP32 [64, -1], got FP16 [64, -1]"),
        ((MEL, replace(Z, name="noise")), "inputs: expected padded_mel, z, got padded_mel, noise"),
        ((Z, MEL), "inputs: expected padded_mel, z, got z, padded_mel"),
        ((MEL,), "inputs: expected padded_mel, z, got padded_mel"),
    ],
)
def test_a_difference_is_named(inputs, sentence):
    expected = filled(WAVEGLOW)
    assert compare(expected, replace(expected, inputs=inputs)) == [sentence]


def test_a_size_may_be_declared_where_the_file_has_a_variable_axis():
    expected = filled(WAVEGLOW)
    assert compare(expected, replace(expected, inputs=(MEL, replace(Z, dims=(-1, -1))))) == []


def test_only_a_profile_with_the_right_n_group_serves_a_vocoder():
    for n_group in (8, 64):
        refuse_unserved(filled(WAVEGLOW, n_group), WAVEGLOW, list(PROFILES.values()))
    message = r"waveglow: no profile serves .*: input z: expected FP32 \[64, -1\], got FP32 \[32, -1\]; .*\[8, -1\]"
    with pytest.raises(InvalidArgument, match=message):
        refuse_unserved(filled(WAVEGLOW, 32), WAVEGLOW, list(PROFILES.values()))


@pytest.fixture
def repository(tmp_path):
    """The configurations of all profiles, and the four networks as ONNX files of the default sizes."""
    write(render(), tmp_path)
    for step in STEPS:
        if step.is_network:
            save_onnx(filled(step), tmp_path / step.name / "1" / "model.onnx")
    return tmp_path


def check(repository, *options):
    parser = ArgumentParser()
    generate.add_arguments(parser)
    generate.run(parser.parse_args(["--check", "--model-repository", str(repository), *options]))


def test_the_check_names_the_networks_that_agree(repository, capsys):
    check(repository, "--profile", "gpu-onnx-default")
    assert (
        "gpu-onnx-default: exported networks that agree: jasper, bert, tacotron2, waveglow" in capsys.readouterr().out
    )


def test_the_check_of_one_profile_refuses_a_network_of_other_weights(repository):
    with pytest.raises(InvalidArgument, match=r"1/model.onnx: input z: expected FP32 \[8, -1\], got FP32 \[64"):
        check(repository, "--profile", "gpu-onnx")


def test_the_check_of_all_profiles_refuses_a_network_that_suits_none(repository, capsys):
    check(repository, "--profile", "all")
    assert "cpu-nvidia: not for this profile: " in capsys.readouterr().out
    save_onnx(filled(WAVEGLOW, 32), repository / "waveglow" / "1" / "model.onnx")
    with pytest.raises(InvalidArgument, match=r"expected FP32 \[64, -1\], got FP32 \[32, -1\]; .* expected FP32 \[8"):
        check(repository, "--profile", "all")


def test_a_network_that_is_not_exported_is_not_compared(repository):
    (repository / "bert" / "1" / "model.onnx").unlink()
    assert compare_files(repository, DEFAULT).keys() == {"jasper", "tacotron2", "waveglow"}
    assert [one for ones in compare_files(repository, NVIDIA).values() for one in ones] != []


def test_a_size_without_a_value_is_a_mistake_of_the_description():
    with pytest.raises(KeyError, match="n_teeth"):
        DEFAULT.fill_sizes(Tensor("z", "FP32", ("n_teeth", -1)).dims)
