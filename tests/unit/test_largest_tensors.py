"""The formulas of the largest tensor are compared with the tensors of small exported networks."""

from dataclasses import replace

import onnx
import pytest
import torch
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
from support.tiny_tacotron2 import TINY as TINY_TACOTRON2

from convai.errors import InvalidArgument
from convai.generator.largest_tensors import check_largest_tensors, count_elements, estimate_memory, largest_tensors
from convai.generator.profiles import PROFILES, build_profile
from convai.generator.render import render
from convai.generator.targets import GPU, GPU_CUDA, GPU_ONNX, Buckets
from convai.generator.weight_sets import read_weight_set
from convai.networks.bert.config import BertConfig
from convai.networks.export import onnx_file
from convai.networks.jasper.config import BlockConfig, JasperConfig, residual_blocks
from convai.networks.registry import NETWORKS
from convai.networks.waveglow.config import WaveGlowConfig

JASPER = JasperConfig(blocks=(BlockConfig(48, 5, stride=2), *residual_blocks(1, (160, 5)), BlockConfig(40, 1)))
BERT = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=96)
# Its gate never fires, so it speaks to the limit.
LONG_TACOTRON2 = replace(
    TINY_TACOTRON2,
    **{"postnet_embedding_dim": 96, "max_decoder_steps": 40, "n_frames_per_step": 3},
    **{"gate_threshold": 0.9999, "extra_steps": 40},
)
REPEATED = WaveGlowConfig(
    n_flows=1, n_group=32, n_early_every=2, n_early_size=4, n_layers=3, n_channels=48, conditioning="repeated"
)
UPSAMPLED = replace(REPEATED, n_channels=160, n_group=8, n_early_size=2, conditioning="upsampled")


def run_with_all_tensors(network, config, path, cases):
    """Yield the shape of the first input of each case, and the elements of the largest tensor in the exported graph."""
    torch.manual_seed(0)
    module = network.module_class(config).eval()
    module = network.fold(module) if network.fold else module
    onnx_file.write(network.interface, module, network.example_inputs(config, **network.traced_case), path)
    model = onnx.load(path)
    names = [name for node in model.graph.node for name in node.output if name]
    del model.graph.output[:]
    model.graph.output.extend(map(onnx.helper.make_empty_tensor_value_info, names))
    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    session = InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for case in cases:
        inputs = network.example_inputs(config, **case)
        arrays = {value.name: tensor.numpy() for value, tensor in zip(model.graph.input, inputs, strict=True)}
        yield tuple(inputs[0].shape), max(array.size for array in session.run(names, arrays))


@pytest.mark.parametrize(
    ("name", "config", "sizes", "cases"),
    [
        ("jasper", JASPER, {"channels": 160, "stride": 2}, [{"batch": 3, "length": 101}]),
        # From 49 tokens on, the attention scores exceed the intermediate layer.
        (
            "bert",
            BERT,
            {"heads": 2, "intermediate_size": 96},
            [{"batch": 2, "windows": 3, "length": length} for length in (40, 64)],
        ),
        ("waveglow", REPEATED, {"layers": 3, "channels": 48, "n_group": 32}, [{"batch": 2, "length": 20}]),
        ("waveglow", UPSAMPLED, {"layers": 3, "channels": 160, "n_group": 8}, [{"batch": 2, "length": 20}]),
    ],
)
def test_the_formulas_agree_with_the_shapes_in_an_exported_graph(name, config, sizes, cases, tmp_path):
    for shape, largest in run_with_all_tensors(NETWORKS[name], config, tmp_path / "model.onnx", cases):
        assert count_elements(name, shape, sizes) == largest


def test_the_formula_of_tacotron2_agrees_with_the_outputs_of_its_layers():
    module, sizes = NETWORKS["tacotron2"].module_class(LONG_TACOTRON2).eval(), []
    for layer in module.modules():
        layer.register_forward_hook(
            lambda _layer, _inputs, output: sizes.extend(
                one.numel() for one in (output if isinstance(output, tuple) else (output,)) if torch.is_tensor(one)
            )
        )
    inputs = NETWORKS["tacotron2"].example_inputs(LONG_TACOTRON2, batch=2, length=5)
    with torch.inference_mode():
        module(*inputs)
    assert count_elements("tacotron2", tuple(inputs[0].shape), {"channels": 96, "frames": 120}) == max(sizes)


def widest(configs):
    """The numbers from which the largest tensor follows, of the largest of these configurations."""
    jasper, bert, tacotron2, waveglow = configs
    return {
        "jasper": {"channels": max(block.filters for block in jasper.blocks), "stride": jasper.blocks[0].stride},
        "bert": {"heads": bert.num_attention_heads, "intermediate_size": bert.intermediate_size},
        "tacotron2": {
            "channels": tacotron2.postnet_embedding_dim,
            "frames": tacotron2.max_decoder_steps * tacotron2.n_frames_per_step,
        },
        "waveglow": {"layers": waveglow.n_layers, "channels": waveglow.n_channels},
    }


def test_the_weight_sets_have_the_sizes_of_their_largest_networks():
    names = {"jasper": "jasper10x5dr", "bert": "bert-large", "tacotron2": "tacotron2", "waveglow": "waveglow-512"}
    published = [NETWORKS[name].configs[config] for name, config in names.items()]
    assert read_weight_set("nvidia").networks == widest(published)
    mini = widest([NETWORKS[name].configs["mini"] for name in names])
    # The first block has half as many channels as the last, but four times as many frames as those after the second.
    assert read_weight_set("default").networks == mini | {"jasper": {"channels": 192, "stride": 2}}


def test_every_tensor_of_every_gpu_profile_is_small_enough_for_tensorrt():
    counts = {name: largest_tensors(profile) for name, profile in PROFILES.items() if name.startswith("gpu")}
    assert len(counts) == 6
    assert all(count < 2**31 for profile in counts.values() for count in profile.values())
    assert counts["gpu"]["bert"] == 32 * 16 * 384**2
    assert counts["gpu"]["waveglow"] == 4096 * 32 * 2 * 512 * 8  # 2^30


@pytest.mark.parametrize(
    ("network", "buckets", "count"),
    [
        ("bert", Buckets(), "2,415,919,104 elements from input_ids of 8x128x384"),
        ("waveglow", Buckets(), "8,589,934,592 elements from padded_mel of 8x80x4096"),
    ],
)
@pytest.mark.parametrize("target", [GPU, GPU_ONNX])
def test_a_profile_whose_tensors_exceed_tensorrts_limit_is_refused(target, network, buckets, count):
    steps = {**target.steps, network: replace(target.steps[network], max_batch_size=8)}
    profile = build_profile("mine", replace(target, buckets=buckets, steps=steps), read_weight_set("nvidia"))
    with pytest.raises(InvalidArgument, match=f"^profile mine: {network} computes a tensor of {count}; expected at "):
        render([profile])


def test_without_tensorrt_no_tensor_is_too_large():
    steps = {**GPU_CUDA.steps, "waveglow": replace(GPU_CUDA.steps["waveglow"], max_batch_size=8)}
    check_largest_tensors(build_profile("mine", replace(GPU_CUDA, steps=steps), read_weight_set("nvidia")))


def test_the_memory_of_the_largest_run_is_about_that_which_was_measured():
    steps = {**GPU_CUDA.steps, "bert": replace(GPU_CUDA.steps["bert"], max_batch_size=8)}
    profile = build_profile("mine", replace(GPU_CUDA, steps=steps), read_weight_set("default"))
    assert estimate_memory(profile)["bert"] == pytest.approx(5.85, rel=0.02)
