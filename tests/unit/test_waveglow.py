from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from support.tiny_waveglow import REPEATED, UPSAMPLED, network

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


def test_the_mini_network_has_about_5_8_million_parameters():
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in WaveGlow(CONFIGS["mini"]).parameters())
    assert 5_700_000 < count < 5_900_000


@BOTH
def test_audio_has_256_samples_per_frame(config):
    with torch.inference_mode():
        assert network(config)(*example_inputs(config, 3, 5)).shape == (3, 5 * 256)


@BOTH
def test_encoding_the_audio_gives_the_noise_again(config):
    waveglow = network(config)
    mel, z = example_inputs(config, 2, 6)
    with torch.inference_mode():
        encoded, _ = waveglow.encode(waveglow(mel, z), mel)
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
def test_padding_past_the_receptive_field_leaves_the_valid_part_alone(config):
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


def test_the_mini_networks_receptive_field_fits_the_smallest_bucket():
    assert CONFIGS["mini"].receptive_field_frames == 48
    assert CONFIGS["waveglow-256"].receptive_field_frames == 99


@BOTH
def test_a_row_gets_alone_what_it_gets_in_a_batch(config):
    mel, z = example_inputs(config, 3, 8)
    waveglow = network(config)
    with torch.inference_mode():
        together, alone = waveglow(mel, z), waveglow(mel[1:2], z[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=0)


def test_loading_weights_renews_the_inverses():
    trained, fresh = network(REPEATED), WaveGlow(REPEATED).eval()
    with torch.no_grad():
        trained.convinv[0].conv.weight.mul_(3)
        trained.convinv[0].renew_inverse()
    fresh.load_state_dict(trained.state_dict())
    inputs = example_inputs(REPEATED, 1, 4)
    with torch.inference_mode():
        torch.testing.assert_close(fresh(*inputs), trained(*inputs))


def test_ending_training_renews_the_inverses():
    waveglow = network(REPEATED).train()
    with torch.no_grad():
        waveglow.convinv[1].conv.weight.mul_(2)
        in_training = waveglow(*example_inputs(REPEATED, 1, 4))
        torch.testing.assert_close(waveglow.eval()(*example_inputs(REPEATED, 1, 4)), in_training)


def test_half_precision_rounds_the_inverse_that_was_computed_in_single():
    convolution = network(UPSAMPLED).convinv[0]
    exact = torch.linalg.inv(convolution.conv.weight.squeeze(2)).unsqueeze(2)
    assert torch.equal(convolution.half().inverse_weight, exact.half())


def test_both_directions_train_every_parameter():
    waveglow = network(UPSAMPLED).train()
    mel, z = example_inputs(UPSAMPLED, 1, 4)
    audio = waveglow(mel, z)
    encoded, log_determinant = waveglow.encode(audio.detach(), mel)
    for loss in (audio.square().mean(), encoded.square().mean() - log_determinant.mean()):
        waveglow.zero_grad()
        loss.backward()
        assert [name for name, parameter in waveglow.named_parameters() if parameter.grad is None] == []


@BOTH
def test_the_onnx_export_is_equal_at_any_batch_and_length(config, tmp_path):
    waveglow, file = network(config), tmp_path / "model.onnx"
    torch.onnx.export(
        waveglow,
        example_inputs(config, 2, 5),
        file,
        input_names=["padded_mel", "z"],
        output_names=["audio"],
        dynamic_axes={"padded_mel": {0: "batch", 2: "frames"}, "z": {0: "batch", 2: "groups"}},
        opset_version=17,
        dynamo=False,
    )
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for batch, frames in ((1, 3), (4, 9)):
        mel, z = example_inputs(config, batch, frames, seed=5)
        (audio,) = session.run(None, {"padded_mel": mel.numpy(), "z": z.numpy()})
        with torch.inference_mode():
            np.testing.assert_allclose(audio, waveglow(mel, z).numpy(), atol=1e-4)


@pytest.mark.parametrize(
    "values",
    [{"n_group": 48}, {"kernel_size": 2}, {"n_early_size": 32}, {"sigma": 0.0}, {"conditioning": "guessed"}],
)
def test_impossible_sizes_are_refused_by_name(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        replace(REPEATED, **values)
