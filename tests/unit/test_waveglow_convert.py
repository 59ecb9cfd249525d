import sys
from types import ModuleType

import pytest
import torch
from support.tiny_waveglow import UPSAMPLED, network, with_fused_conditioning, with_weight_norm

from convai.networks.checkpoints.checkpoint import read_checkpoint
from convai.networks.waveglow.model import WaveGlow, example_inputs

CONFIG = {
    "n_mel_channels": UPSAMPLED.n_mel_channels,
    "n_flows": UPSAMPLED.n_flows,
    "n_group": UPSAMPLED.n_group,
    "n_early_every": UPSAMPLED.n_early_every,
    "n_early_size": UPSAMPLED.n_early_size,
    "WN_config": {"n_layers": UPSAMPLED.n_layers, "kernel_size": 3, "n_channels": UPSAMPLED.n_channels},
}


class PublishedWaveGlow(torch.nn.Module):
    """A module with the given tensors as its parameters; its class is in the package glow."""

    def __init__(self, tensors):
        super().__init__()
        for name, tensor in tensors.items():
            *path, last = name.split(".")
            module = self
            for step in path:
                if step not in module._modules:
                    module.add_module(step, torch.nn.Module())
                module = module._modules[step]
            module.register_parameter(last, torch.nn.Parameter(tensor.clone()))


def save_pickled_module(tensors, path, monkeypatch):
    package = ModuleType("glow")
    package.PublishedWaveGlow = PublishedWaveGlow
    with monkeypatch.context() as patch:
        patch.setattr(PublishedWaveGlow, "__module__", "glow")
        patch.setitem(sys.modules, "glow", package)
        content = {"model": PublishedWaveGlow(tensors), "iteration": 9, "learning_rate": 1e-4}
        torch.save(content, path, _use_new_zipfile_serialization=False)


def assert_same_audio(path, published, layout):
    read = read_checkpoint(path)
    assert read.network.name == "waveglow" and read.converted.config == UPSAMPLED
    assert layout in read.converted.layout
    loaded = WaveGlow(read.converted.config).eval()
    loaded.load_state_dict(read.weights().tensors)
    inputs = example_inputs(UPSAMPLED, 2, 5)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(*inputs), published(*inputs), atol=1e-5, rtol=0)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weight_norm_of_deep_learning_examples_is_folded(tmp_path, prefix):
    published = with_weight_norm(network(UPSAMPLED))
    state_dict = {prefix + name: tensor for name, tensor in published.state_dict().items()}
    torch.save({"state_dict": state_dict, "config": CONFIG}, tmp_path / "waveglow.pt")
    assert_same_audio(tmp_path / "waveglow.pt", published, "DeepLearningExamples, WaveGlow, weight norm")


def test_weight_norm_as_a_parametrization_is_folded(tmp_path):
    published = with_weight_norm(network(UPSAMPLED))
    endings = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    state_dict = {}
    for name, tensor in published.state_dict().items():
        layer, _, last = name.rpartition(".")
        state_dict[f"{layer}.{endings.get(last, last)}"] = tensor
    torch.save(state_dict, tmp_path / "waveglow.pt")
    assert_same_audio(tmp_path / "waveglow.pt", published, "weight norm")


def test_weights_without_weight_norm_need_no_config(tmp_path):
    published = network(UPSAMPLED)
    torch.save({"state_dict": published.state_dict()}, tmp_path / "waveglow.pt")
    assert_same_audio(tmp_path / "waveglow.pt", published, "NVIDIA DeepLearningExamples, WaveGlow")


def test_a_pickled_module_with_fused_conditioning_is_read(tmp_path, monkeypatch):
    published = with_weight_norm(network(UPSAMPLED))
    tensors = with_fused_conditioning(published.state_dict())
    save_pickled_module(tensors, tmp_path / "waveglow.pt", monkeypatch)
    assert_same_audio(tmp_path / "waveglow.pt", published, "pickled module, weight norm, fused cond_layer")


def test_fp16_files_are_folded_in_fp32(tmp_path):
    published = with_weight_norm(network(UPSAMPLED)).half()
    torch.save({"state_dict": published.state_dict(), "config": CONFIG}, tmp_path / "waveglow.pt")
    tensors = read_checkpoint(tmp_path / "waveglow.pt").weights().tensors
    exact = torch._weight_norm(published.WN[1].start.weight_v.float(), published.WN[1].start.weight_g.float())
    torch.testing.assert_close(tensors["WN.1.start.weight"], exact, atol=1e-6, rtol=0)
