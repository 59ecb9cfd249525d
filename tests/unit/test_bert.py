import pytest
import torch

from convai.errors import InvalidArgument
from convai.networks.bert.model import CONFIGS, Bert, BertConfig, example_inputs

TINY = BertConfig(
    vocab_size=50,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=32,
)


@pytest.fixture(scope="module")
def bert():
    torch.manual_seed(0)
    return Bert(TINY).eval()


@pytest.mark.parametrize(("name", "expected"), [("bert-large", 335_150_082), ("bert-base", 109_488_386)])
def test_nvidia_sizes_have_exactly_the_published_number_of_parameters(name, expected):
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in Bert(CONFIGS[name]).parameters())
    assert count == expected


def test_keys_are_those_of_nvidias_checkpoints(bert):
    keys = set(bert.state_dict())
    assert {
        "bert.embeddings.word_embeddings.weight",
        "bert.embeddings.LayerNorm.bias",
        "bert.encoder.layer.1.attention.self.query.weight",
        "bert.encoder.layer.1.attention.output.LayerNorm.weight",
        "bert.encoder.layer.1.intermediate.dense_act.weight",
        "bert.encoder.layer.1.output.dense.bias",
        "qa_outputs.weight",
    } <= keys
    assert not any("pooler" in key for key in keys)


@torch.inference_mode()
def test_every_row_has_one_score_per_token_of_each_window_and_the_same_ones_alone(bert):
    inputs = example_inputs(TINY, batch=4, length=12)
    batched = bert(*inputs)
    assert [logits.shape for logits in batched] == [inputs[0].shape] * 2
    for row in range(4):
        alone = bert(*(tensor[row : row + 1] for tensor in inputs))
        for logits, expected in zip(alone, batched, strict=True):
            torch.testing.assert_close(logits[0], expected[row], atol=1e-5, rtol=0)


@torch.inference_mode()
def test_padding_tokens_and_windows_change_nothing(bert):
    inputs = tuple(tensor[:1] for tensor in example_inputs(TINY, batch=1, length=12))
    padded = tuple(torch.nn.functional.pad(tensor, (0, 8, 0, 1)) for tensor in inputs)
    for logits, expected in zip(bert(*padded), bert(*inputs), strict=True):
        torch.testing.assert_close(logits[:, :2, :12], expected, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_masked_tokens_are_ignored(bert):
    input_ids, token_type_ids, attention_mask = example_inputs(TINY, batch=4, length=12)
    other_ids = torch.where(attention_mask == 1, input_ids, 7)
    expected = bert(input_ids, token_type_ids, attention_mask)
    for logits, reference in zip(bert(other_ids, token_type_ids, attention_mask), expected, strict=True):
        real = attention_mask == 1
        torch.testing.assert_close(logits[real], reference[real], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden_size": 100}, "hidden_size: expected a multiple of num_attention_heads"),
        ({"vocab_size": 0}, "vocab_size: expected 1 to 262,144, got 0"),
        ({"vocab_size": 2**31}, "vocab_size: expected 1 to 262,144, got 2147483648"),
        ({"vocab_size": 50.0}, "vocab_size: expected an integer, got 50.0"),
        ({"vocab_size": True}, "vocab_size: expected an integer, got True"),
        ({"has_pooler": 1}, "has_pooler: expected true or false, got 1"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps: expected a finite number, got nan"),
        ({"layer_norm_eps": -1}, "layer_norm_eps: expected above 0, got -1"),
    ],
)
def test_sizes_of_another_type_or_out_of_range_are_refused(values, message):
    with pytest.raises(InvalidArgument, match=f"^{message}"):
        BertConfig(**values)
