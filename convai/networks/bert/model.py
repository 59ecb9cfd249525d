"""BERT with a question-answering head, the step `bert`: finds where in the context the answer starts and ends.

The network is that of Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
Understanding", 2018. The modules are named so that the state-dict keys are those of NVIDIA's DeepLearningExamples.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convai.networks.bert.config import CONFIGS, BertConfig

__all__ = ["CONFIGS", "Bert", "BertConfig", "example_inputs"]

INITIAL_WEIGHT_DEVIATION = 0.02


class Bert(nn.Module):
    """Token windows in, start and end logits of the answer out."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.bert = BertModel(config)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)
        self.apply(initialise)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Score every token as the start and as the end of the answer.

        Parameters
        ----------
        input_ids, token_type_ids, attention_mask : int64, shape = (batch, windows, tokens)
            Word pieces, segment (0 question, 1 context), and 1 for tokens that are not padding.

        Returns
        -------
        start_logits, end_logits : float32, shape = (batch, windows, tokens)
        """
        shape = input_ids.shape
        hidden = self.bert(input_ids.flatten(0, 1), token_type_ids.flatten(0, 1), attention_mask.flatten(0, 1))
        logits = self.qa_outputs(hidden.to(self.qa_outputs.weight.dtype)).float()
        return logits[..., 0].reshape(shape), logits[..., 1].reshape(shape)


class BertModel(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        if config.has_pooler:
            self.pooler = Pooler(config)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor) -> Tensor:
        embedded = self.embeddings(input_ids, token_type_ids)
        # FP16 holds -10,000, and its exp() is 0. With -inf, the softmax of a window of padding would be NaN.
        bias = (1 - attention_mask).to(embedded.dtype)[:, None, None, :] * -10_000.0
        return self.encoder(embedded, bias)


class Embeddings(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        summed = self.word_embeddings(input_ids) + self.token_type_embeddings(token_type_ids)
        return self.dropout(self.LayerNorm(summed + self.position_embeddings(positions)))


class Encoder(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.layer = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        for layer in self.layer:
            hidden = layer(hidden, bias)
        return hidden


class EncoderLayer(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Intermediate(config)
        self.output = ResidualOutput(config.intermediate_size, config)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        attended = self.attention(hidden, bias)
        return self.output(self.intermediate(attended), attended)


class Attention(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.self = SelfAttention(config)
        self.output = ResidualOutput(config.hidden_size, config)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        return self.output(self.self(hidden, bias), hidden)


class SelfAttention(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.dropout_prob = config.hidden_dropout_prob
        self.query = nn.Linear(config.hidden_size, config.hidden_size)
        self.key = nn.Linear(config.hidden_size, config.hidden_size)
        self.value = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        attended = F.scaled_dot_product_attention(
            self.split_heads(self.query(hidden)),
            self.split_heads(self.key(hidden)),
            self.split_heads(self.value(hidden)),
            attn_mask=bias,
            dropout_p=self.dropout_prob if self.training else 0.0,
        )
        return attended.transpose(1, 2).flatten(2)

    def split_heads(self, states: Tensor) -> Tensor:
        """Turn (windows, tokens, hidden) into (windows, heads, tokens, hidden / heads)."""
        return states.unflatten(2, [self.num_heads, -1]).transpose(1, 2)


class ResidualOutput(nn.Module):
    """Project to the hidden size, add the residual, normalise."""

    def __init__(self, input_size: int, config: BertConfig):
        super().__init__()
        self.dense = nn.Linear(input_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, states: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(states)) + residual)


class Intermediate(nn.Module):
    def __init__(self, config: BertConfig):
        super().__init__()
        self.dense_act = nn.Linear(config.hidden_size, config.intermediate_size)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.gelu(self.dense_act(hidden))


class Pooler(nn.Module):
    """Holds the weights of a published checkpoint's pooler; the question-answering head does not call it."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.dense_act = nn.Linear(config.hidden_size, config.hidden_size)


def initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=INITIAL_WEIGHT_DEVIATION)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def example_inputs(
    config: BertConfig, batch: int, length: int, seed: int = 0, windows: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """Windows of random word pieces: row 0 is full, later rows are shorter, row 3 has no real token at all.

    Returns
    -------
    input_ids, token_type_ids, attention_mask : int64, shape = (batch, windows, length)
    """
    generator = torch.Generator().manual_seed(seed)
    real_tokens = torch.randint(0, length + 1, (batch, windows, 1), generator=generator)
    real_tokens[0] = length
    real_tokens[1::2, 1:] = 0
    real_tokens[3:4] = 0
    position = torch.arange(length)
    attention_mask = (position < real_tokens).long()
    token_type_ids = (position >= length // 4).long() * attention_mask
    input_ids = torch.randint(0, config.vocab_size, (batch, windows, length), generator=generator) * attention_mask
    return input_ids, token_type_ids, attention_mask
