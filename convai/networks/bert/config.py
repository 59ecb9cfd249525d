"""Sizes of BERT, by name."""

from dataclasses import dataclass

from convai.errors import InvalidArgument
from convai.networks.config_checks import check_fields


@dataclass(frozen=True)
class BertConfig:
    """Sizes of one BERT, under the names of the published `bert_config.json`."""

    vocab_size: int = 30_522
    hidden_size: int = 384
    num_hidden_layers: int = 6
    num_attention_heads: int = 12
    intermediate_size: int = 1536
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    hidden_dropout_prob: float = 0.1  # during training only
    has_pooler: bool = False  # published checkpoints have one; question answering does not use it

    def __post_init__(self):
        check_fields(self, probabilities=("hidden_dropout_prob",))
        if self.hidden_size % self.num_attention_heads:
            raise InvalidArgument(
                f"hidden_size: expected a multiple of num_attention_heads ({self.num_attention_heads}), "
                f"got {self.hidden_size}"
            )
        if self.layer_norm_eps <= 0:
            raise InvalidArgument(f"layer_norm_eps: expected above 0, got {self.layer_norm_eps}")


# NVIDIA pads the vocabulary of 30,522 word pieces to a multiple of 8, which suits tensor cores.
PADDED_VOCAB_SIZE = 30_528

CONFIGS = {
    "mini": BertConfig(),  # the sizes of MiniLM-L6-H384
    "bert-base": BertConfig(
        vocab_size=PADDED_VOCAB_SIZE,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        has_pooler=True,
    ),
    "bert-large": BertConfig(
        vocab_size=PADDED_VOCAB_SIZE,
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        has_pooler=True,
    ),
}
