from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from support.tiny_waveglow import REPEATED, UPSAMPLED, network
from torch.utils.flop_counter import FlopCounterMode

from convai.networks.waveglow.fold import FoldedWaveGlow
from convai.networks.waveglow.model import CONFIGS, WaveGlow, example_inputs

THREE_WAYS = pytest.mark.parametrize(
    ("config", "keep_upsampling"),
    [(REPEATED, True), (UPSAMPLED, True), (UPSAMPLED, False)],
    ids=["repeated", "upsampled", "upsampling folded"],
)


def lively_network(config):
    """Biases of every layer matter too: they are what folding gets wrong at the edges first."""
    waveglow = network(config)
    for parameter in waveglow.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return waveglow


def multiply_adds(waveglow, config):
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        waveglow(
            torch.zeros(1, config.n_mel_channels, 50), torch.zeros(1, config.n_group, 50 * config.groups_per_frame)
        )
    return counter.get_total_flops() / 2


@THREE_WAYS
def test_the_folded_network_gives_the_same_audio_to_its_edges(config, keep_upsampling):
    waveglow = lively_network(config)
    inputs = example_inputs(config, 2, 7)
    with torch.inference_mode():
        torch.testing.assert_close(
            FoldedWaveGlow(waveglow, keep_upsampling)(*inputs), waveglow(*inputs), atol=1e-5, rtol=0
        )


def test_folding_leaves_the_given_network_alone():
    waveglow = lively_network(UPSAMPLED)
    before = deepcopy(waveglow.state_dict())
    FoldedWaveGlow(waveglow, keep_upsampling=False).half()
    assert waveglow.training is False
    for name, tensor in waveglow.state_dict().items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, before[name])


def test_a_network_folded_in_single_can_be_rounded_to_half_precision():
    waveglow = lively_network(REPEATED)
    inputs = example_inputs(REPEATED, 1, 5)
    with torch.inference_mode():
        audio = FoldedWaveGlow(waveglow).half()(*inputs)
        assert audio.dtype == torch.float32
        torch.testing.assert_close(audio, waveglow(*inputs), atol=5e-2, rtol=0)


@pytest.mark.parametrize(
    ("name", "keep_upsampling", "share"),
    [("mini", True, 0.83), ("waveglow-256", True, 0.88), ("waveglow-256", False, 0.68)],
)
def test_folding_saves_multiply_adds(name, keep_upsampling, share):
    config = replace(CONFIGS[name], n_flows=4)
    with torch.device("meta"):
        waveglow = WaveGlow(config)
        folded = FoldedWaveGlow(waveglow, keep_upsampling)
    assert multiply_adds(folded, config) < share * multiply_adds(waveglow, config)
