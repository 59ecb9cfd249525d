import pytest
import torch

from convai.errors import InvalidArgument
from convai.networks.jasper.config import residual_blocks
from convai.networks.jasper.model import CONFIGS, BlockConfig, Jasper, JasperConfig, example_inputs

TINY = JasperConfig(
    blocks=(
        BlockConfig(8, 5, stride=2),
        *residual_blocks(2, (8, 5), (12, 7)),
        BlockConfig(16, 3, dilation=2),
        BlockConfig(16, 1),
    )
)


@pytest.fixture(scope="module")
def jasper():
    torch.manual_seed(0)
    network = Jasper(TINY).eval()
    for module in network.modules():
        # Fresh statistics are 0 and 1, which would hide a normalisation that leaks into the padding.
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.normal_(module.bias)
    return network


@pytest.fixture(scope="module")
def full_size():
    with torch.device("meta"):
        return Jasper(CONFIGS["jasper10x5dr"])


def test_nvidias_size_has_exactly_the_published_number_of_parameters(full_size):
    assert sum(parameter.numel() for parameter in full_size.parameters()) == 332_632_349


def test_keys_are_those_of_nvidias_checkpoints(full_size):
    state_dict = full_size.state_dict()
    assert len(state_dict) == 650
    assert state_dict["encoder.layers.0.conv.0.weight"].shape == (256, 64, 11)
    assert state_dict["encoder.layers.10.conv.16.weight"].shape == (768, 768, 25)
    assert state_dict["encoder.layers.10.conv.17.running_var"].shape == (768,)
    assert state_dict["encoder.layers.12.conv.0.weight"].shape == (1024, 896, 1)
    assert state_dict["decoder.layers.0.bias"].shape == (29,)


@pytest.mark.parametrize("frames", [1, 2, 31, 32, 33])
@torch.inference_mode()
def test_the_first_convolution_halves_the_frames_rounding_up(jasper, frames):
    log_probs, log_probs_length = jasper(*example_inputs(TINY, batch=1, length=frames))
    assert log_probs.shape == (1, (frames + 1) // 2, 29)
    assert log_probs_length.dtype == torch.int32
    assert log_probs_length.tolist() == [[(frames + 1) // 2]]


@torch.inference_mode()
def test_channels_last_as_in_training_compute_the_same(jasper):
    inputs = example_inputs(TINY, batch=4, length=50)
    jasper.encoder.training = True  # alone: its dropout and normalisations stay those of serving
    try:
        trained, _ = jasper(*inputs)
    finally:
        jasper.encoder.training = False
    torch.testing.assert_close(trained, jasper(*inputs)[0], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_a_row_is_recognised_the_same_alone_and_unpadded_as_in_a_batch(jasper):
    features, features_length = example_inputs(TINY, batch=6, length=50, seed=1)
    log_probs, log_probs_length = jasper(features, features_length)
    for row, frames in enumerate(features_length[:, 0].tolist()):
        alone, _ = jasper(features[row : row + 1, :, : max(frames, 1)], features_length[row : row + 1])
        batched = log_probs[row, : log_probs_length[row]]
        torch.testing.assert_close(batched, alone[0, : len(batched)], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": 8, "kernel_size": 4}, "kernel_size: expected an odd number"),
        ({"filters": 8, "kernel_size": 5, "stride": 2, "repeat": 2}, "stride: expected 1"),
        ({"filters": 0, "kernel_size": 5}, "filters: expected 1 to 262,144, got 0"),
    ],
)
def test_invalid_blocks_are_refused(arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        BlockConfig(**arguments)


@torch.inference_mode()
def test_a_decoder_that_upsamples_makes_up_for_a_second_halving():
    config = JasperConfig(blocks=(BlockConfig(8, 5, stride=2), BlockConfig(8, 5, stride=2)), upsampling=2)
    features, features_length = example_inputs(config, batch=3, length=33)
    log_probs, log_probs_length = Jasper(config).eval()(features, features_length)
    assert config.stride == 2
    assert log_probs.shape == (3, 17, 29)
    assert log_probs_length.tolist() == ((features_length + 1) // 2).tolist()
