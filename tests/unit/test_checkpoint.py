import json
import re
from argparse import ArgumentParser

import pytest
import torch
from safetensors.torch import save_file

from convai.errors import InvalidArgument
from convai.networks.bert.model import Bert, BertConfig
from convai.networks.checkpoints import command as weights_command
from convai.networks.checkpoints.checkpoint import read_checkpoint
from convai.networks.checkpoints.quantised import save
from convai.networks.checkpoints.renames import rename
from convai.networks.export import command as export_command
from convai.networks.jasper.config import residual_blocks
from convai.networks.jasper.model import CONFIGS, BlockConfig, Jasper, JasperConfig

JASPER = JasperConfig(blocks=(BlockConfig(8, 5, stride=2), *residual_blocks(2, (8, 5), (12, 7)), BlockConfig(8, 1)))
BERT = BertConfig(
    vocab_size=56,  # padded to a multiple of 8
    hidden_size=64,
    num_hidden_layers=2,
    num_attention_heads=1,
    intermediate_size=32,
    max_position_embeddings=40,
    has_pooler=True,
)


@pytest.fixture(autouse=True)
def tiny_jasper(monkeypatch):
    monkeypatch.setitem(CONFIGS, "tiny", JASPER)


@pytest.fixture
def jasper_tensors():
    torch.manual_seed(0)
    return Jasper(JASPER).state_dict()


@pytest.fixture
def bert_tensors():
    torch.manual_seed(0)
    return Bert(BERT).state_dict()


def save_contents(path, contents):
    torch.save(contents, path)
    return path


def first_version(tensors):
    """Rename to the keys of the file that NVIDIA published first, with its preprocessing."""
    names = (
        (r"^encoder\.layers\.", "jasper_encoder.encoder."),
        (r"^decoder\.layers\.", "jasper_decoder.decoder_layers."),
    )
    return rename(tensors, names) | {"audio_preprocessor.featurizer.fb": torch.zeros(1, 64, 257)}


def hugging_face(tensors):
    names = ((r"(intermediate|pooler)\.dense_act\.", r"\1.dense."),)
    return rename(tensors, names) | {"bert.embeddings.position_ids": torch.arange(40)[None]}


def assert_reads(path, network, layout, config, tensors):
    checkpoint = read_checkpoint(path)
    assert checkpoint.network.name == network
    assert checkpoint.converted.layout == layout
    assert checkpoint.converted.config == config
    weights = checkpoint.weights()
    assert weights.tensors.keys() == tensors.keys()
    for key, tensor in tensors.items():
        torch.testing.assert_close(weights.tensors[key], tensor)


@pytest.mark.parametrize(
    ("contents", "layout"),
    [
        (lambda tensors: {"state_dict": first_version(tensors), "epoch": 1, "step": 2}, "v1"),
        (lambda tensors: {"state_dict": tensors, "ema_state_dict": None, "best_wer": 0.1}, "v2"),
        (lambda tensors: {"state_dict": {}, "ema_state_dict": tensors}, "v2, averaged weights (EMA)"),
    ],
)
def test_each_version_of_jasper_is_read(contents, layout, jasper_tensors, tmp_path):
    path = save_contents(tmp_path / "jasper.pt", contents(jasper_tensors))
    assert_reads(path, "jasper", f"NVIDIA DeepLearningExamples, Jasper {layout}", JASPER, jasper_tensors)


@pytest.mark.parametrize(
    ("contents", "layout"), [(lambda t: {"model": t, "step": 3}, "under the key `model`"), (dict, "bare")]
)
def test_bert_of_nvidia_is_read_with_its_padded_vocabulary(contents, layout, bert_tensors, tmp_path):
    path = save_contents(tmp_path / "bert_qa.pt", contents(bert_tensors))
    assert_reads(path, "bert", f"NVIDIA DeepLearningExamples, BERT {layout}", BERT, bert_tensors)


def test_bert_of_hugging_face_is_read_as_safetensors_and_as_bin(bert_tensors, tmp_path):
    tensors = hugging_face(bert_tensors)
    save_file(tensors, tmp_path / "model.safetensors")
    for path in (tmp_path / "model.safetensors", save_contents(tmp_path / "pytorch_model.bin", tensors)):
        assert_reads(path, "bert", "Hugging Face, BertForQuestionAnswering", BERT, bert_tensors)


def test_bert_without_a_pooler_and_with_old_names_of_the_norm_is_read(bert_tensors, tmp_path):
    tensors = {key: tensor for key, tensor in bert_tensors.items() if "pooler" not in key}
    old = rename(tensors, ((r"LayerNorm\.weight$", "LayerNorm.gamma"), (r"LayerNorm\.bias$", "LayerNorm.beta")))
    converted = read_checkpoint(save_contents(tmp_path / "bert.pt", old)).converted
    assert converted.tensors.keys() == tensors.keys()
    assert not converted.config.has_pooler


def test_heads_come_from_the_config_beside_the_file(bert_tensors, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"num_attention_heads": 4, "hidden_act": "gelu"}))
    path = save_contents(tmp_path / "pytorch_model.bin", hugging_face(bert_tensors))
    assert read_checkpoint(path).converted.config.num_attention_heads == 4


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"hidden_act": "relu"}, "hidden_act: expected 'gelu', got 'relu'"),
        ({"num_attention_heads": "four"}, "num_attention_heads: expected an integer, got 'four'"),
        ({"num_attention_heads": 1.5}, "num_attention_heads: expected an integer, got 1.5"),
    ],
)
def test_a_bert_with_an_option_that_ours_lacks_is_refused(config, message, bert_tensors, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidArgument, match=message):
        read_checkpoint(save_contents(tmp_path / "pytorch_model.bin", hugging_face(bert_tensors)))


@pytest.mark.parametrize(
    "strange",
    [
        {"bert.embeddings.word_embeddings.weight": torch.tensor(1.0)},
        {7: torch.zeros(1)},
        {"a": torch.zeros(3, 3, dtype=torch.int8), "a.scale": torch.zeros(2)},
    ],
)
def test_tensors_of_a_strange_shape_or_name_are_refused_in_a_sentence(strange, bert_tensors, tmp_path):
    with pytest.raises(InvalidArgument, match="bert.pt is not a valid checkpoint: "):
        read_checkpoint(save_contents(tmp_path / "bert.pt", bert_tensors | strange))


def test_a_file_of_bytes_is_refused(tmp_path):
    (tmp_path / "junk.pt").write_bytes(b"junk")
    with pytest.raises(InvalidArgument, match="junk.pt was refused"):
        read_checkpoint(tmp_path / "junk.pt")


@pytest.mark.parametrize("network", ["jasper", "bert"])
def test_every_key_that_does_not_fit_is_listed(network, jasper_tensors, bert_tensors, tmp_path):
    tensors = {"jasper": jasper_tensors, "bert": bert_tensors}[network]
    missing, misshapen = list(tensors)[2:4]
    del tensors[missing]
    tensors[misshapen] = torch.zeros(1, 2, 3)
    tensors["surplus.weight"] = torch.zeros(1)
    with pytest.raises(InvalidArgument) as raised:
        read_checkpoint(save_contents(tmp_path / "broken.pt", tensors))
    assert re.search(
        rf"missing {missing}\n.*unexpected surplus.weight\n.*{misshapen} has shape \(1, 2, 3\)", str(raised.value)
    )


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"resnet.weight": torch.zeros(1)}, "expected a checkpoint of .*, got one whose first keys are resnet.weight"),
        ([torch.zeros(1)], "expected a dictionary of tensors, got list"),
    ],
)
def test_a_file_of_something_else_is_refused(contents, message, tmp_path):
    with pytest.raises(InvalidArgument, match=message):
        read_checkpoint(save_contents(tmp_path / "other.pt", contents))


def run(command, *arguments):
    parser = ArgumentParser()
    command.add_arguments(parser)
    command.run(parser.parse_args([str(argument) for argument in arguments]))


def test_export_finds_the_network_of_a_checkpoint_and_refuses_another_name(jasper_tensors, tmp_path, capsys):
    path = save_contents(tmp_path / "jasper.pt", {"state_dict": first_version(jasper_tensors)})
    run(export_command, "--checkpoint", path, "--format", "torchscript", "--model-repository", tmp_path)
    assert f"{path}: NVIDIA DeepLearningExamples, Jasper v1\njasper    tiny, torchscript" in capsys.readouterr().out
    assert (tmp_path / "jasper" / "1" / "model.pt").is_file()
    with pytest.raises(InvalidArgument, match="jasper.pt is of jasper, got bert"):
        run(export_command, "--checkpoint", path, "--network", "bert", "--model-repository", tmp_path)


def test_the_contents_of_a_file_are_printed(bert_tensors, tmp_path, capsys):
    save(tmp_path / "bert.safetensors", bert_tensors, int8=["bert.embeddings.word_embeddings.weight"])
    run(weights_command, tmp_path / "bert.safetensors")
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert printed["network"] == "bert, custom"
    assert "hidden_size 64, num_hidden_layers 2" in printed["config"]
    assert printed["parameters"] == f"{sum(tensor.numel() for tensor in bert_tensors.values()):,}"
    assert "3,584 int8" in printed["dtypes"]
