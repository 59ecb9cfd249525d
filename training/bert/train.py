"""Fine-tunes BERT.

    python -m training.bert.train --squad train-v1.1.json.gz --encoder DIR --out DIR

Writes to OUT: log.jsonl (loss; that of --dev and the share of its answers found), state.pt (for --resume) and
bert.safetensors (weights, FP16, most of them INT8).
"""

import json
import math
import sys
from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from convai.errors import InvalidArgument, reading
from convai.networks.bert.config import BertConfig
from convai.networks.bert.model import Bert
from convai.networks.checkpoints.quantised import as_stored
from convai.networks.checkpoints.weights import config_name_of
from convai.networks.registry import NETWORKS
from convai.program import run_program
from training.bert.data import WINDOW_TOKENS, Batch, BertRecipe, Corpus, QuestionForms, WindowBatches, collate
from training.common.device import move
from training.common.run import Run, make_training_parser, train
from training.common.training import Training

VOCABULARY = "vocab.txt"
DEV_QUESTIONS, ROWS_PER_DEV_BATCH = 100, 8
SPOKEN_FORM = QuestionForms(misrecognised_share=0, written_share=0, unanswerable_share=0)


def build_parser() -> ArgumentParser:
    parser = make_training_parser("training.bert.train", __doc__, BertRecipe())
    parser.add_argument("--squad", type=Path, required=True, help="questions to learn from, SQuAD v1.1, .json or .gz")
    parser.add_argument(
        "--encoder", type=Path, required=True, help=f"folder with config.json, {VOCABULARY}, model.safetensors"
    )
    parser.add_argument("--dev", type=Path, help="questions to measure on, likewise")
    return parser


def start(args: Namespace) -> Run[Bert]:
    corpus = Corpus.load(args.squad, args.encoder / VOCABULARY)
    dev = draw_dev_batches(Corpus.load(args.dev, args.encoder / VOCABULARY)) if args.dev else []
    print(f"{len(corpus.questions)} questions to learn from, {sum(map(len, dev))} to measure on")
    training = build_training(BertRecipe().with_options(args), corpus, args.encoder)
    config_name = config_name_of(NETWORKS["bert"], read_encoder_config(args.encoder))
    return Run(training, "bert", config_name, lambda network: measure(network, dev))


def read_encoder_config(encoder: Path) -> BertConfig:
    """Read the sizes from the encoder's config.json; its dropout belongs to the pretraining and is not read."""
    file = encoder / "config.json"
    with reading(file, "JSON object"):
        published = dict(json.loads(file.read_text()))
    names = (asdict(BertConfig()).keys() & published.keys()) - {"hidden_dropout_prob"}
    return BertConfig(**{name: published[name] for name in names})


def load_encoder(network: Bert, encoder: Path) -> None:
    """Fill the encoder from a Hugging Face folder (`model.safetensors`), whose feed-forward layer has another name."""
    state = {
        f"bert.{name.removeprefix('bert.')}".replace("intermediate.dense.", "intermediate.dense_act."): tensor
        for name, tensor in load_file(encoder / "model.safetensors").items()
    }
    own = network.state_dict()
    if missing := [name for name in own if name.startswith("bert.") and name not in state]:
        raise InvalidArgument(f"{encoder} lacks the encoder's weights {', '.join(missing)}")
    network.load_state_dict({name: state[name] for name in own if name in state}, strict=False)


def build_training(recipe: BertRecipe, corpus: Corpus, encoder: Path) -> Training[Bert]:
    """Prepare a run that starts with the encoder of a folder and a random head."""
    torch.manual_seed(recipe.schedule.seed)
    network = Bert(replace(read_encoder_config(encoder), hidden_dropout_prob=0.0))  # two epochs need none
    load_encoder(network, encoder)
    network.to(recipe.device)
    batches = WindowBatches(corpus, recipe)
    int8 = names_of_int8_matrices(network)

    def compute_losses(network: Bert, batch: Batch, step: int) -> dict[str, Tensor]:
        with choose_fast_attention(recipe.device), recipe.autocast():
            # Quantisation-aware: the forward pass sees the matrices as INT8 stores them.
            stored = {name: as_stored(network.get_parameter(name)) for name in int8}
            logits = functional_call(network, stored, (batch.input_ids, batch.token_type_ids, batch.attention_mask))
        return {"loss": span_loss(logits[0], logits[1], batch)}

    groups = group_parameters(network, recipe.schedule.weight_decay)
    optimizer = torch.optim.AdamW(groups, fused=True)
    return Training(network, recipe.schedule, batches.at, compute_losses, optimizer, int8=int8, most_workers=1)


def choose_fast_attention(device: torch.device) -> AbstractContextManager[Any]:
    """Choose plain matrix products: at these lengths they take 20 % less time in BF16 than the fused CPU kernel."""
    if device.type != "cpu":
        return nullcontext()
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    return sdpa_kernel(SDPBackend.MATH)


def group_parameters(network: Bert, weight_decay: float) -> list[dict]:
    """Decay matrices, but not biases and norms."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
    ]


def names_of_int8_matrices(network: Bert) -> list[str]:
    """Matrices that are exported in INT8: word embeddings and the encoder's, nearly all of the bytes."""
    linear = [name for name, module in network.bert.encoder.named_modules() if isinstance(module, nn.Linear)]
    return ["bert.embeddings.word_embeddings.weight", *(f"bert.encoder.{name}.weight" for name in linear)]


def span_loss(start_logits: Tensor, end_logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of the answer's start and end over the context's tokens and [CLS], averaged over both and rows."""
    losses = [
        F.cross_entropy(mask_logits(logits, batch), target)
        for logits, target in ((start_logits, batch.start), (end_logits, batch.end))
    ]
    return (losses[0] + losses[1]) / 2


def mask_logits(logits: Tensor, batch: Batch) -> Tensor:
    """Logits of shape (rows, 1, tokens) as (rows, tokens), minus infinity where no answer may start or end."""
    return logits[:, 0].float().masked_fill(~batch.candidates, -math.inf)


def draw_dev_batches(corpus: Corpus) -> list[Batch]:
    """Spoken questions in full windows with their answer, spread over the corpus, always the same ones."""
    rng = np.random.default_rng(0)
    chosen = range(0, len(corpus.questions), max(1, len(corpus.questions) // DEV_QUESTIONS))[:DEV_QUESTIONS]
    windows = [corpus.draw(index, WINDOW_TOKENS, SPOKEN_FORM, rng) for index in chosen]
    starts = range(0, len(windows), ROWS_PER_DEV_BATCH)
    return [collate(windows[start : start + ROWS_PER_DEV_BATCH]) for start in starts]


@torch.inference_mode()
def measure(network: Bert, batches: list[Batch]) -> dict[str, float]:
    """The loss, and the share of questions whose likeliest start and end are both right; nothing without batches."""
    if not batches:
        return {}
    device = next(network.parameters()).device
    rows, loss, right = 0, 0.0, 0
    for batch in (move(one, device) for one in batches):
        logits = network(batch.input_ids, batch.token_type_ids, batch.attention_mask)
        start, end = (mask_logits(one, batch).argmax(1) for one in logits)
        rows += len(batch)
        loss += len(batch) * span_loss(logits[0], logits[1], batch).item()
        right += int(((start == batch.start) & (end == batch.end)).sum())
    return {"loss": round(loss / rows, 4), "right": round(right / rows, 4)}


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), lambda args: train(args, start), argv)


if __name__ == "__main__":
    sys.exit(main())
