from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.tiny_waveglow import REPEATED, UPSAMPLED, network

from convai.backends.steps.audio_trimmer import AudioTrimmer
from convai.errors import InvalidArgument
from convai.networks.waveglow.bias import BIAS_SIDE_FILE, measure_bias
from convai.networks.waveglow.fold import FoldedWaveGlow
from convai.networks.waveglow.model import CONFIGS, WaveGlow, example_inputs

BOTH = pytest.mark.parametrize("config", [REPEATED, UPSAMPLED], ids=["repeated", "upsampled"])


def values_with_weight_norm(config):
    """Weight norm stores one more value, the norm, for each output channel of every layer inside WN but `end`."""
    with torch.device("meta"):
        waveglow = WaveGlow(config)
    parameters = dict(waveglow.named_parameters())
    normed = [name for name in parameters if "WN" in name and name.endswith("weight") and "end" not in name]
    return sum(tensor.numel() for tensor in parameters.values()) + sum(parameters[name].size(0) for name in normed)


@pytest.mark.parametrize(("name", "count"), [("waveglow-256", 87_879_272), ("waveglow-512", 268_294_760)])
def test_nvidias_networks_have_their_published_number_of_values(name, count):
    assert values_with_weight_norm(CONFIGS[name]) == count


@BOTH
def test_encoding_the_audio_returns_the_noise(config):
    waveglow = network(config)
    mel, z = example_inputs(config, 2, 6)
    with torch.inference_mode():
        audio = waveglow(mel, z)
        encoded, _ = waveglow.encode(audio, mel)
    assert audio.shape == (2, 6 * 256)
    torch.testing.assert_close(encoded / config.sigma, z, atol=1e-4, rtol=0)


def test_the_log_determinant_is_that_of_the_jacobian():
    config = replace(REPEATED, n_flows=2, n_early_every=1)
    waveglow = network(config).double()
    mel = example_inputs(config, 1, 1)[0].double()
    audio = torch.randn(1, 256, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: waveglow.encode(x, mel)[0].flatten(), audio)
    _, log_determinant = waveglow.encode(audio, mel)
    expected = torch.linalg.slogdet(jacobian.reshape(256, 256))[1]
    torch.testing.assert_close(log_determinant[0], expected, atol=1e-5, rtol=0)


@BOTH
def test_padding_past_the_receptive_field_does_not_change_the_valid_part(config):
    valid = 128 - config.receptive_field_frames
    mel, z = (tensor.double() for tensor in example_inputs(config, 1, 192))
    mel[:, :, valid:] = -11.5
    waveglow = network(config).double()
    with torch.inference_mode():
        short = waveglow(mel[:, :, :128], z[:, :, : 128 * config.groups_per_frame])
        long = waveglow(mel, z)
    assert valid > 50
    torch.testing.assert_close(short[:, : valid * 256], long[:, : valid * 256], atol=1e-10, rtol=0)
    assert not torch.allclose(short, long[:, : 128 * 256], atol=1e-10)


@BOTH
def test_a_row_is_the_same_alone_as_in_a_batch(config):
    mel, z = example_inputs(config, 3, 8)
    waveglow = network(config)
    with torch.inference_mode():
        batched, alone = waveglow(mel, z), waveglow(mel[1:2], z[1:2])
    torch.testing.assert_close(batched[1:2], alone, atol=1e-5, rtol=0)


def test_ending_training_and_loading_weights_update_the_inverses():
    trained, fresh = network(REPEATED).train(), WaveGlow(REPEATED).eval()
    inputs = example_inputs(REPEATED, 1, 4)
    with torch.no_grad():
        trained.convinv[1].conv.weight.mul_(2)
        expected = trained(*inputs)
        torch.testing.assert_close(trained.eval()(*inputs), expected)
        fresh.load_state_dict(trained.state_dict())
        torch.testing.assert_close(fresh(*inputs), expected)


@pytest.mark.parametrize(
    "values",
    [{"n_group": 48}, {"kernel_size": 2}, {"n_early_size": 32}, {"sigma": 0.0}, {"conditioning": "guessed"}],
)
def test_invalid_sizes_are_refused_by_name(values):
    with pytest.raises(InvalidArgument, match=next(iter(values))):
        replace(REPEATED, **values)


def network_with_biases(config):
    """Biases matter most at the edges, where folding would show errors first."""
    waveglow = network(config)
    for parameter in waveglow.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, std=0.3)
    return waveglow


@BOTH
def test_the_folded_network_synthesises_the_same_audio_to_its_edges_also_in_fp16(config):
    waveglow = network_with_biases(config)
    inputs, before = example_inputs(config, 2, 7), deepcopy(waveglow.state_dict())
    with torch.inference_mode():
        folded, expected = FoldedWaveGlow(waveglow), waveglow(*inputs)
        torch.testing.assert_close(folded(*inputs), expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(folded.half()(*inputs), expected, atol=5e-2, rtol=0)
    for name, tensor in waveglow.state_dict().items():
        assert tensor.dtype == torch.float32 and torch.equal(tensor, before[name])


def test_audio_trimmer_reads_the_bias_that_the_export_measures(tmp_path):
    waveglow = network(CONFIGS["mini"])
    bias = measure_bias(waveglow)
    assert bias.shape == (513,) and np.isfinite(bias).all() and bias.any()
    BIAS_SIDE_FILE.write(waveglow, waveglow.config, tmp_path)
    AudioTrimmer(post_filter="denoiser", bias_file=str(tmp_path / BIAS_SIDE_FILE.path))
