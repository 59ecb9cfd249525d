import json
import re
from argparse import ArgumentParser
from dataclasses import replace
from importlib.util import find_spec

import onnx
import pytest
import torch
from safetensors.torch import save_file
from support.tiny_tacotron2 import TINY as TINY_TACOTRON2

from convai.generator.profiles import PROFILES
from convai.networks.bert.model import BertConfig
from convai.networks.checkpoints.weights import build, random_weights, read_weights, with_options
from convai.networks.export import command as export_command
from convai.networks.export import formats, torchscript_file
from convai.networks.export.export import Job, export, installed_export
from convai.networks.export.parity import ParityError, largest_difference
from convai.networks.export.plan_file import fitting_ranges, shape_ranges
from convai.networks.export.several import export_all
from convai.networks.jasper.config import residual_blocks
from convai.networks.jasper.model import BlockConfig, JasperConfig
from convai.networks.registry import NETWORKS

TINY_CONFIGS = {
    "jasper": JasperConfig(
        blocks=(BlockConfig(8, 5, stride=2), *residual_blocks(2, (8, 5), (12, 7)), BlockConfig(8, 1))
    ),
    "tacotron2": TINY_TACOTRON2,
    "bert": BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32),
}


@pytest.fixture(autouse=True)
def tiny_configs(monkeypatch):
    for name, config in TINY_CONFIGS.items():
        monkeypatch.setitem(NETWORKS[name].configs, "tiny", config)


def tiny_weights(name):
    """Weights without the zeros and ones of a fresh network, which would hide what an export gets wrong."""
    generator = torch.Generator().manual_seed(0)
    fresh = random_weights(NETWORKS[name], "tiny", seed=0)
    tensors = {
        key: torch.rand(tensor.shape, generator=generator) * 0.2 + 0.01 if tensor.is_floating_point() else tensor
        for key, tensor in build(NETWORKS[name], fresh, seed=0).state_dict().items()
    }
    return replace(fresh, origin="made by the test", tensors=tensors)


def parse(*arguments):
    parser = ArgumentParser()
    export_command.add_arguments(parser)
    return parser.parse_args(arguments)


def tiny_job(name, format_name, **options):
    return Job(NETWORKS[name], tiny_weights(name), format_name, **options)


@pytest.mark.parametrize(
    ("name", "format_name", "precision", "largest"),
    [
        ("jasper", "onnx", "fp32", 1e-4),
        ("jasper", "torchscript", "fp32", 1e-4),
        ("jasper", "torchscript", "fp16", 1e-2),
        ("bert", "onnx", "fp16", 1e-2),
        ("bert", "torchscript", "fp32", 1e-4),
        ("tacotron2", "onnx", "fp16", 5e-2),
    ],
)
def test_an_export_agrees_with_its_network_at_every_batch_size_and_length(
    name, format_name, precision, largest, tmp_path
):
    result = export(tiny_job(name, format_name, precision=precision), tmp_path)
    assert result.worst.largest_difference < largest
    assert [path.name for path in (tmp_path / name / "1").iterdir()] == [result.path.name]
    assert result.job.format.read_record(result.path) == json.loads(json.dumps(result.record()))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_checked_alone_and_in_a_mixed_batch_of_four_and_unlike_it_was_traced(name):
    network = NETWORKS[name]
    assert {1, 4} <= {case["batch"] for case in network.parity_cases}
    assert network.traced_case["length"] not in {case["length"] for case in network.parity_cases}


def test_an_onnx_file_carries_the_pipelines_names_and_suits_the_released_triton(tmp_path):
    model = onnx.load(export(tiny_job("bert", "onnx"), tmp_path).path)
    onnx.checker.check_model(model, full_check=True)
    assert [tensor.name for tensor in model.graph.input] == ["input_ids", "token_type_ids", "attention_mask"]
    assert [tensor.name for tensor in model.graph.output] == ["start_logits", "end_logits"]
    # ONNX Runtime 1.19, which Triton 24.10 carries, reads IR 10 and opset 21 at most.
    assert model.ir_version <= 10
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 18}


def test_what_is_installed_and_up_to_date_is_not_exported_again(tmp_path):
    job = tiny_job("bert", "torchscript")
    assert installed_export(job, tmp_path) is None
    exported = export(job, tmp_path)
    assert installed_export(job, tmp_path) == exported
    other_weights = replace(job, weights=replace(job.weights, sha256="0" * 64))
    assert installed_export(other_weights, tmp_path) is None


@pytest.mark.parametrize("format_name", NETWORKS["bert"].formats)
def test_a_damaged_file_is_not_up_to_date(format_name, tmp_path):
    job = tiny_job("bert", format_name)
    path = job.destination(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x0f not a network")
    assert installed_export(job, tmp_path) is None


def write_with_a_changed_weight(network, module, inputs, path):
    changed = build(network, random_weights(network, "tiny", seed=1), seed=1)
    torchscript_file.write(network, changed, inputs, path)


def test_a_wrong_export_is_refused_and_the_installed_file_stays(tmp_path, monkeypatch):
    installed = export(tiny_job("bert", "torchscript"), tmp_path).path
    before = installed.read_bytes()
    wrong = replace(formats.FORMATS["torchscript"], write=write_with_a_changed_weight)
    monkeypatch.setitem(formats.FORMATS, "torchscript", wrong)
    with pytest.raises(ParityError, match=r"bert as torchscript fp32 differs .*; allowed is 1e-03 .*; not installed"):
        export(tiny_job("bert", "torchscript"), tmp_path)
    assert installed.read_bytes() == before
    assert [path.name for path in installed.parent.iterdir()] == ["model.pt"]


def test_outputs_of_another_shape_dtype_or_that_are_not_finite_differ_without_bound():
    expected = torch.zeros(2, 3)
    assert largest_difference(expected, [torch.zeros(2, 4)]) == float("inf")
    assert largest_difference(expected, [torch.zeros(2, 3, dtype=torch.float16)]) == float("inf")
    assert largest_difference(expected, [torch.full((2, 3), float("nan"))]) == float("inf")
    assert largest_difference(expected, [torch.full((2, 3), 0.25)]) == 0.25


def test_random_weights_repeat_with_their_seed():
    network = NETWORKS["jasper"]
    one, same, other = (build(network, random_weights(network, "tiny", seed), seed) for seed in (3, 3, 4))
    weights = [module.decoder.layers[0].weight for module in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_weights_stored_as_fp16_are_used_as_fp32(tmp_path):
    halves = {key: tensor.half() for key, tensor in tiny_weights("bert").tensors.items()}
    save_file(halves, tmp_path / "bert.safetensors", {"config": "tiny"})
    weights = read_weights(NETWORKS["bert"], tmp_path / "bert.safetensors")
    assert weights.config_name == "tiny"
    assert {parameter.dtype for parameter in build(NETWORKS["bert"], weights, seed=0).parameters()} == {torch.float32}


def test_weights_that_do_not_fit_are_refused_with_every_key_listed():
    weights = replace(tiny_weights("bert"), origin="bert.safetensors")
    tensors = weights.tensors
    del tensors["qa_outputs.bias"]
    tensors["qa_outputs.weight"] = torch.zeros(3, 16)
    tensors["cls.bias"] = torch.zeros(1)
    with pytest.raises(ValueError) as raised:
        build(NETWORKS["bert"], weights, seed=0)
    assert str(raised.value).splitlines() == [
        "bert.safetensors does not fit the network:",
        "  missing qa_outputs.bias",
        "  unexpected cls.bias",
        "  qa_outputs.weight has shape (3, 16) instead of (2, 16)",
    ]


def test_the_command_exports_and_reports(tmp_path, capsys):
    report = tmp_path / "report.json"
    export_command.run(
        parse(
            "--network",
            "jasper",
            "--config",
            "tiny",
            "--format",
            "torchscript",
            "--seed",
            "5",
            "--model-repository",
            str(tmp_path),
            "--report",
            str(report),
        )
    )
    printed = capsys.readouterr().out
    assert "random, seed 5: differs by at most" in printed
    assert re.search(r"^jasper +tiny +torchscript +fp32 +batch 4 length 192 +\S+ +1e-03$", printed, re.MULTILINE)
    [record] = json.loads(report.read_text())
    assert (record["network"], record["format"], record["precision"]) == ("jasper", "torchscript", "fp32")
    assert [case["case"]["batch"] for case in record["parity"]["cases"]] == [1, 4, 3]


def test_several_networks_are_exported_side_by_side_as_each_would_be_alone(tmp_path):
    jobs = [tiny_job(name, "torchscript") for name in ("bert", "jasper", "tacotron2")]
    kept = export(jobs[1], tmp_path)
    made = list(export_all(jobs, tmp_path))
    assert [(result.job, was_up_to_date) for result, was_up_to_date in made] == list(
        zip(jobs, (False, True, False), strict=True)
    )
    assert made[1][0] == kept
    assert [installed_export(job, tmp_path) for job in jobs] == [result for result, _ in made]


def test_an_option_is_used_and_recorded():
    weights = with_options(random_weights(NETWORKS["waveglow"], "mini", seed=0), ["sigma=0.5"])
    assert build(NETWORKS["waveglow"], weights, seed=0).config.sigma == 0.5
    assert Job(NETWORKS["waveglow"], weights, "onnx").record()["config"]["sigma"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weights", "a.safetensors"], "--weights and --set belong to one network"),
        (["--set", "sigma=0.6"], "--weights and --set belong to one network"),
        (["--network", "waveglow", "--set", "sigma=-1"], "sigma must be above 0, got -1"),
        (["--network", "waveglow", "--set", "volume=2"], "'volume' is no field of the configuration; allowed are"),
        (
            ["--network", "waveglow", "--set", "sigma=loud"],
            "'sigma=loud' must be NAME=VALUE, with a value of type float",
        ),
        (["--network", "waveglow", "--set", "n_flows=1.5"], "n_flows must be of type int, got 1.5"),
        (
            ["--network", "jasper", "--config", "huge"],
            "jasper has no configuration 'huge'; it has mini, small, jasper10x5dr",
        ),
        (["--network", "waveglow", "--format", "torchscript"], "waveglow cannot be exported as torchscript"),
    ],
)
def test_impossible_wishes_are_refused(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_command.run(parse(*arguments, "--model-repository", str(tmp_path)))


def test_a_file_that_is_no_safetensors_file_is_named(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_text("not weights")
    with pytest.raises(ValueError, match=f"{path} is no safetensors file"):
        read_weights(NETWORKS["bert"], path)


def test_a_network_needs_a_format_that_exists():
    with pytest.raises(ValueError, match="formats must be some of onnx, torchscript, tensorrt, got caffe"):
        replace(NETWORKS["bert"], formats=("caffe",))


def test_a_plan_takes_the_shapes_of_the_gpu_profiles_buckets():
    bert, profile = NETWORKS["bert"], PROFILES["gpu"]
    inputs = bert.example_inputs(TINY_CONFIGS["bert"], **bert.traced_case)
    ranges = shape_ranges(bert, inputs, profile)
    assert ranges.keys() == {"input_ids", "token_type_ids", "attention_mask"}
    smallest, usual, largest = ranges["input_ids"]
    assert smallest[0] == usual[0] == 1
    assert largest[0] == profile.max_batch_size
    assert largest[1:] == profile.settings["bert"].shapes["input_ids"].largest


def test_a_plan_of_another_size_than_the_profile_is_for_is_refused():
    waveglow = NETWORKS["waveglow"]
    inputs = waveglow.example_inputs(waveglow.configs["mini"], **waveglow.traced_case)
    with pytest.raises(ValueError, match="axis 1 of z is 64 in this network, but 8 in profile gpu"):
        shape_ranges(waveglow, inputs, PROFILES["gpu"])


@pytest.mark.parametrize(("config", "n_group"), [("mini", 64), ("waveglow-256", 8)])
def test_a_plan_takes_the_shapes_of_the_profile_that_is_for_its_weights(config, n_group):
    waveglow = NETWORKS["waveglow"]
    ranges = fitting_ranges(waveglow, waveglow.example_inputs(waveglow.configs[config], **waveglow.traced_case))
    assert [shape[1] for shape in ranges["z"]] == [n_group] * 3


def test_a_plan_of_a_size_that_no_profile_is_for_is_refused_with_all_of_them():
    waveglow = NETWORKS["waveglow"]
    inputs = waveglow.example_inputs(replace(waveglow.configs["mini"], n_group=32), **waveglow.traced_case)
    with pytest.raises(ValueError, match="but 8 in profile gpu; .* but 64 in profile gpu-default"):
        fitting_ranges(waveglow, inputs)


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is here")
def test_without_tensorrt_a_plan_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="a TensorRT plan needs the package tensorrt and a GPU"):
        export(tiny_job("jasper", "tensorrt"), tmp_path)
