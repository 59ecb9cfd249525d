from dataclasses import asdict, replace

import pytest
import torch
from support.tiny_tacotron2 import TINY, decode, network

from convai.errors import InvalidArgument
from convai.networks.checkpoints.checkpoint import read_checkpoint
from convai.networks.tacotron2.model import CONFIGS, Tacotron2, example_inputs


def nvidias_config(config=TINY):
    ours = (
        *("p_encoder_dropout", "p_prenet_dropout", "p_postnet_dropout", "steps_per_symbol", "extra_steps"),
        *("prenet_dropout_seed", "symbols"),
    )
    options = {name: value for name, value in asdict(config).items() if name not in ours}
    return options | {"mask_padding": False, "decoder_no_early_stopping": False}


def save(path, tensors, config=TINY, prefix=""):
    state_dict = {prefix + name: tensor for name, tensor in tensors.items()}
    torch.save({"state_dict": state_dict, "config": nvidias_config(config), "epoch": 3}, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module.", "module.1.", "1."])
def test_every_prefix_is_stripped_and_the_network_is_the_same(tmp_path, prefix):
    tacotron2 = network()
    read = read_checkpoint(save(tmp_path / "tacotron2.pt", tacotron2.state_dict(), prefix=prefix))
    loaded = Tacotron2(replace(TINY)).eval()
    loaded.load_state_dict(read.weights().tensors)
    inputs = example_inputs(TINY, 2, 9)
    assert read.network.name == "tacotron2"
    assert torch.equal(decode(loaded, *inputs)[0], decode(tacotron2, *inputs)[0])


def test_the_files_own_config_is_honoured(tmp_path):
    config = replace(TINY, max_decoder_steps=333, gate_threshold=0.1)
    read = read_checkpoint(save(tmp_path / "tacotron2.pt", network().state_dict(), config)).converted.config
    assert (read.max_decoder_steps, read.gate_threshold, read.prenet_dim) == (333, 0.1, TINY.prenet_dim)


def test_without_a_config_the_closest_one_is_used(tmp_path):
    with torch.device("meta"):
        shapes = Tacotron2(CONFIGS["mini"]).state_dict()
    torch.save({"state_dict": {name: torch.zeros(t.shape) for name, t in shapes.items()}}, tmp_path / "tacotron2.pt")
    assert read_checkpoint(tmp_path / "tacotron2.pt").converted.config == CONFIGS["mini"]


def test_batch_counts_may_be_missing_as_in_old_files(tmp_path):
    tensors = {name: t for name, t in network().state_dict().items() if not name.endswith("num_batches_tracked")}
    assert read_checkpoint(save(tmp_path / "tacotron2.pt", tensors)).network.name == "tacotron2"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (nvidias_config() | {"n_speakers": 4}, "our network does not have the options n_speakers"),
        (nvidias_config() | {"prenet_dim": "8"}, "prenet_dim: expected an integer, got '8'"),
        (nvidias_config() | {"symbols": 3}, "symbols: expected a SymbolTable, got 3"),
        ([1], "is not a valid checkpoint"),
    ],
)
def test_a_config_that_is_not_one_of_ours_is_refused(tmp_path, config, message):
    torch.save({"state_dict": network().state_dict(), "config": config}, tmp_path / "tacotron2.pt")
    with pytest.raises(InvalidArgument, match=message):
        read_checkpoint(tmp_path / "tacotron2.pt")
