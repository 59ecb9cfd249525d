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

from convai.errors import InvalidArgument
from convai.generator.exported_files import read_interface, refuse_unserved
from convai.generator.profiles import PROFILES
from convai.networks.bert.model import BertConfig
from convai.networks.checkpoints.weights import apply_options, build, find_weights, random_weights, read_weights
from convai.networks.export import command as export_command
from convai.networks.export import formats, torchscript_file
from convai.networks.export.export import Job, export, installed_export
from convai.networks.export.parity import ParityError, largest_difference
from convai.networks.export.plan_file import find_shape_ranges
from convai.networks.export.several import export_all
from convai.networks.jasper.config import residual_blocks
from convai.networks.jasper.model import BlockConfig, JasperConfig
from convai.networks.registry import NETWORKS
from convai.package_data import packaged

TINY_CONFIGS = {
    "jasper": JasperConfig(
        blocks=(BlockConfig(8, 5, stride=2), *residual_blocks(2, (8, 5), (12, 7)), BlockConfig(8, 1))
    ),
    "tacotron2": TINY_TACOTRON2,
    "bert": BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32),
}
BERT, WAVEGLOW = NETWORKS["bert"], NETWORKS["waveglow"]


@pytest.fixture(autouse=True, scope="module")
def tiny_configs():
    with pytest.MonkeyPatch.context() as patch:
        for name, config in TINY_CONFIGS.items():
            patch.setitem(NETWORKS[name].configs, "tiny", config)
        yield


def tiny_weights(name):
    """Draw weights without the zeros and ones of a fresh network, which would hide errors of an export."""
    generator = torch.Generator().manual_seed(0)
    fresh = random_weights(NETWORKS[name], "tiny", seed=0)
    tensors = {
        key: torch.rand(tensor.shape, generator=generator) * 0.2 + 0.01 if tensor.is_floating_point() else tensor
        for key, tensor in build(NETWORKS[name], fresh, seed=0).state_dict().items()
    }
    return replace(fresh, origin="made by the test", tensors=tensors)


def tiny_job(name, format_name, **options):
    return Job(NETWORKS[name], tiny_weights(name), format_name, **options)


def run(repository, *arguments):
    parser = ArgumentParser()
    export_command.add_arguments(parser)
    export_command.run(parser.parse_args([*arguments, "--model-repository", str(repository)]))


def assert_agrees(result, largest):
    """The largest difference covers every batch size and length of the network's parity cases."""
    assert result.worst.largest_difference < largest
    assert [path.name for path in result.path.parent.iterdir()] == [result.path.name]
    record = dict(result.job.format.read_record(result.path))
    assert record.pop("interface").keys() == {"inputs", "outputs"}
    assert record == json.loads(json.dumps(result.record()))
    refuse_unserved(read_interface(result.path), result.job.network.step, list(PROFILES.values()))


@pytest.mark.parametrize(
    ("name", "precision", "largest"),
    [("jasper", "fp32", 1e-4), ("jasper", "fp16", 1e-2), ("bert", "fp32", 1e-4), ("tacotron2", "fp32", 1e-4)],
)
def test_a_torchscript_file_agrees_with_its_network(name, precision, largest, tmp_path):
    assert_agrees(export(tiny_job(name, "torchscript", precision=precision), tmp_path), largest)


def test_the_default_weights_of_jasper_pass_parity_in_fp16(tmp_path):
    run(tmp_path, "--network", "jasper", "--precision", "fp16")


def test_the_default_bert_in_fp16_agrees_has_the_pipelines_names_and_suits_the_released_triton(tmp_path):
    weights = find_weights(BERT, packaged("weights"), None, seed=0)
    result = export(Job(BERT, weights, "onnx", precision="fp16"), tmp_path)
    assert_agrees(result, BERT.tolerances["fp16"].largest_difference)
    model = onnx.load(result.path)
    onnx.checker.check_model(model, full_check=True)
    assert [tensor.name for tensor in model.graph.input] == ["input_ids", "token_type_ids", "attention_mask"]
    assert [tensor.name for tensor in model.graph.output] == ["start_logits", "end_logits"]
    # ONNX Runtime 1.19 in Triton 24.10 reads at most IR 10 and opset 21.
    assert model.ir_version <= 10
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 18}


def test_tacotron2_is_refused_in_fp16(tmp_path):
    with pytest.raises(InvalidArgument, match=r"^--precision: expected fp32 for tacotron2, got fp16$"):
        run(tmp_path, "--network", "tacotron2", "--precision", "fp16")


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_every_network_is_checked_unbatched_in_a_batch_of_four_and_at_other_sizes_than_it_is_traced_with(network):
    assert {1, 4} <= {case["batch"] for case in network.parity_cases}
    assert network.traced_case["length"] not in {case["length"] for case in network.parity_cases}
    assert "fp32" in network.tolerances
    assert set(network.formats) <= formats.FORMATS.keys()


def test_an_export_is_up_to_date_until_its_weights_change(tmp_path):
    job = tiny_job("bert", "torchscript")
    assert installed_export(job, tmp_path) is None
    exported = export(job, tmp_path)
    assert installed_export(job, tmp_path) == exported
    other_weights = replace(job, weights=replace(job.weights, sha256="0" * 64))
    assert installed_export(other_weights, tmp_path) is None


@pytest.mark.parametrize("format_name", BERT.formats)
def test_a_damaged_file_is_not_up_to_date(format_name, tmp_path):
    job = tiny_job("bert", format_name)
    path = job.destination(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x0f not a network")
    assert installed_export(job, tmp_path) is None


def write_with_a_changed_weight(interface, module, inputs, path):
    changed = build(BERT, random_weights(BERT, "tiny", seed=1), seed=1)
    torchscript_file.write(interface, changed, inputs, path)


def test_a_wrong_export_is_refused_and_the_installed_file_stays(tmp_path, monkeypatch):
    installed = export(tiny_job("bert", "torchscript"), tmp_path).path
    before = installed.read_bytes()
    wrong = replace(formats.FORMATS["torchscript"], write=write_with_a_changed_weight)
    monkeypatch.setitem(formats.FORMATS, "torchscript", wrong)
    with pytest.raises(ParityError, match=r"bert as torchscript fp32 differs .* more than 1e-03 .*; not installed"):
        export(tiny_job("bert", "torchscript"), tmp_path)
    assert installed.read_bytes() == before
    assert [path.name for path in installed.parent.iterdir()] == ["model.pt"]


def test_outputs_of_another_shape_or_dtype_or_not_finite_differ_infinitely():
    expected = torch.zeros(2, 3)
    for got in (torch.zeros(2, 4), torch.zeros(2, 3, dtype=torch.float16), torch.full((2, 3), float("nan"))):
        assert largest_difference(expected, [got]) == float("inf")
    assert largest_difference(expected, [torch.full((2, 3), 0.25)]) == 0.25


def test_weights_stored_as_fp16_are_used_as_fp32(tmp_path):
    halves = {key: tensor.half() for key, tensor in tiny_weights("bert").tensors.items()}
    save_file(halves, tmp_path / "bert.safetensors", {"config": "tiny"})
    weights = read_weights(BERT, tmp_path / "bert.safetensors")
    assert weights.config_name == "tiny"
    assert {parameter.dtype for parameter in build(BERT, weights, seed=0).parameters()} == {torch.float32}


def test_the_command_exports_and_reports(tmp_path, capsys):
    report = tmp_path / "report.json"
    names = ("--network", "jasper", "--config", "tiny", "--format", "torchscript")
    run(tmp_path, *names, "--seed", "5", "--report", str(report))
    printed = capsys.readouterr().out
    assert "random, seed 5: differs by at most" in printed
    assert re.search(r"^jasper +tiny +torchscript +fp32 +batch 4 length 192 +\S+ +1e-03$", printed, re.MULTILINE)
    [record] = json.loads(report.read_text())
    assert (record["network"], record["format"], record["precision"]) == ("jasper", "torchscript", "fp32")
    assert [case["case"]["batch"] for case in record["parity"]["cases"]] == [1, 4, 3]


def test_several_networks_exported_in_parallel_equal_single_exports(tmp_path):
    jobs = [tiny_job(name, "torchscript") for name in ("bert", "jasper", "tacotron2")]
    kept = export(jobs[1], tmp_path)
    results = list(export_all(jobs, tmp_path))
    assert [(result.job, was_up_to_date) for result, was_up_to_date in results] == list(
        zip(jobs, (False, True, False), strict=True)
    )
    assert results[1][0] == kept
    assert [installed_export(job, tmp_path) for job in jobs] == [result for result, _ in results]


def test_an_option_is_used_and_recorded():
    weights = apply_options(random_weights(WAVEGLOW, "mini", seed=0), ["sigma=0.5"])
    assert build(WAVEGLOW, weights, seed=0).config.sigma == 0.5
    assert Job(WAVEGLOW, weights, "onnx").record()["config"]["sigma"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--weights a.safetensors", "--weights and --set need exactly one network"),
        ("--set sigma=0.6", "--weights and --set need exactly one network"),
        ("--network waveglow --set sigma=-1", "sigma: expected above 0, got -1"),
        ("--network waveglow --set volume=2", "--set: expected one of n_mel_channels, .*, got 'volume'"),
        ("--network waveglow --set sigma=loud", "--set: expected NAME=VALUE with a JSON float, got 'sigma=loud'"),
        ("--network waveglow --set n_flows=1.5", "n_flows: expected a value of type int, got 1.5"),
        ("--network jasper --config huge", "expected a configuration of mini, small, jasper10x5dr.*, got 'huge'"),
        ("--network waveglow --format torchscript", "expected onnx or tensorrt for waveglow, got torchscript"),
        (f"--network bert --weights {__file__}", "test_export.py is not a valid safetensors file"),
    ],
)
def test_invalid_options_are_refused(arguments, message, tmp_path):
    with pytest.raises(InvalidArgument, match=message):
        run(tmp_path, *arguments.split())


def waveglow_inputs(config):
    return WAVEGLOW.example_inputs(config, **WAVEGLOW.traced_case)


@pytest.mark.parametrize(("config", "n_group"), [("mini", 64), ("waveglow-256", 8)])
def test_a_plan_takes_the_shapes_of_the_profile_for_its_weights(config, n_group):
    ranges = find_shape_ranges(WAVEGLOW.interface, waveglow_inputs(WAVEGLOW.configs[config]))
    assert ranges.keys() == {"padded_mel", "z"}
    assert [shape[1] for shape in ranges["z"]] == [n_group] * 3
    assert [shape[0] for shape in ranges["z"]] == [1, 1, 1]


def test_a_plan_of_a_size_without_a_profile_is_refused_with_all_profiles():
    inputs = waveglow_inputs(replace(WAVEGLOW.configs["mini"], n_group=32))
    message = "axis 1 of z is 32 in this network, but 8 in profile gpu; .* but 64 in profile gpu-default"
    with pytest.raises(InvalidArgument, match=message):
        find_shape_ranges(WAVEGLOW.interface, inputs)


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed")
def test_without_tensorrt_a_plan_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match="expected the package tensorrt and a GPU"):
        export(tiny_job("jasper", "tensorrt"), tmp_path)
