"""BERT in training: from a pretrained encoder, by the loss of the answer's start and end."""

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from convai.networks.bert.model import Bert
from convai.networks.checkpoints.quantised import as_stored
from training.bert.blocks import Blocks
from training.bert.data import Corpus
from training.bert.encoder import encoder_config, load_encoder
from training.bert.losses import span_loss
from training.bert.recipe import Recipe
from training.common.training import Training


def training_of(recipe: Recipe, corpus: Corpus, encoder: Path) -> Training[Bert]:
    """A run that begins with the encoder of a folder and a random head."""
    torch.manual_seed(recipe.schedule.seed)
    network = Bert(replace(encoder_config(encoder), hidden_dropout_prob=recipe.dropout))
    load_encoder(network, encoder)
    blocks = Blocks(corpus, recipe)
    int8 = kept_in_int8(network)

    def losses(network: Bert, step: int) -> dict[str, Tensor]:
        batch = blocks.at(step)
        with fast_attention(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.bfloat16):
            # It learns to do without what INT8 will take from it.
            stored = {name: as_stored(network.get_parameter(name)) for name in int8}
            logits = functional_call(network, stored, (batch.input_ids, batch.token_type_ids, batch.attention_mask))
        return {"loss": span_loss(logits[0], logits[1], batch)}

    optimizer = torch.optim.AdamW(parameter_groups(network, recipe.schedule.weight_decay), fused=True)
    return Training(network, recipe.schedule, losses, optimizer, int8=int8)


def fast_attention() -> AbstractContextManager[Any]:
    """Choose plain matrix products: at these lengths they are a fifth faster in BF16 than the fused CPU kernel."""
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    return sdpa_kernel(SDPBackend.MATH)


def parameter_groups(network: Bert, weight_decay: float) -> list[dict]:
    """Decay matrices; leave biases and norms alone."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]


def kept_in_int8(network: Bert) -> list[str]:
    """Names of the matrices that are exported in INT8: word embeddings and the encoder's, nearly all of the bytes."""
    linear = [name for name, module in network.bert.encoder.named_modules() if isinstance(module, nn.Linear)]
    return ["bert.embeddings.word_embeddings.weight", *(f"bert.encoder.{name}.weight" for name in linear)]
