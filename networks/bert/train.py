"""Fine-tune BERT to answer spoken questions.

    python -m convai.networks.bert.train --squad train.json --encoder DIR --out DIR --minutes 90

Stop it at any time and start it again with --resume: it goes on from the last checkpoint in the output folder.
"""

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

from convai.networks.bert.data import WINDOW_TOKENS, Batch, Corpus, QuestionForms, collate
from convai.networks.bert.encoder import encoder_config, load_encoder
from convai.networks.bert.model import Bert
from convai.networks.checkpoints.compact import load
from convai.pipeline.mistakes import CallerMistake
from convai.pipeline.program import run_program

CHECKPOINT_NAME = "checkpoint.pt"
WEIGHTS_NAME = "bert.safetensors"
LOG_NAME = "log.jsonl"


@dataclass(frozen=True)
class TrainingConfig:
    """One training run. Its length is a time, so that the learning rate always ends at zero when the time is over.

    Windows grow with progress: short crops around the answer cost a third of a full window, so most of the
    questions are seen in them; towards the end whole windows teach the positions and distractors of serving.
    """

    minutes: float = 95
    batch_rows: int = 32
    block_batches: int = 16  # batches drawn together, sorted by length; checkpoints lie between blocks
    peak_learning_rate: float = 2e-4
    warmup_share: float = 0.04
    weight_decay: float = 0.01
    max_gradient_norm: float = 1.0
    short_window_tokens: int = 112
    short_share_at_start: float = 0.95
    short_share_at_end: float = 0.15
    checkpoint_minutes: float = 4
    use_bfloat16: bool = True
    seed: int = 0
    forms: QuestionForms = field(default_factory=QuestionForms)

    def __post_init__(self):
        for name in ("minutes", "batch_rows", "block_batches", "peak_learning_rate", "max_gradient_norm"):
            if getattr(self, name) <= 0:
                raise CallerMistake(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("warmup_share", "short_share_at_start", "short_share_at_end"):
            if not 0 <= getattr(self, name) <= 1:
                raise CallerMistake(f"{name} must be in [0, 1], got {getattr(self, name)}")

    def learning_rate(self, progress: float) -> float:
        """Rise linearly over the warm-up, then fall linearly to zero at progress 1."""
        if progress < self.warmup_share:
            return self.peak_learning_rate * (0.02 + 0.98 * progress / self.warmup_share)
        return self.peak_learning_rate * max(0.0, (1 - progress) / (1 - self.warmup_share))

    def short_share(self, progress: float) -> float:
        return self.short_share_at_start + (self.short_share_at_end - self.short_share_at_start) * min(1, progress)


class Trainer:
    """The network, its optimiser and how far the run has come."""

    def __init__(self, config: TrainingConfig, network: Bert, corpus: Corpus, out: Path):
        self.config, self.network, self.corpus, self.out = config, network, corpus, out
        self.optimiser = torch.optim.AdamW(parameter_groups(network, config.weight_decay), lr=0.0, fused=True)
        self.block = 0
        self.seconds = 0.0

    @property
    def progress(self) -> float:
        return min(1.0, self.seconds / (60 * self.config.minutes))

    def run(self) -> None:
        saved_at = self.seconds
        while self.progress < 1:
            self.train_block()
            if self.progress == 1 or self.seconds - saved_at > 60 * self.config.checkpoint_minutes:
                self.save()
                saved_at = self.seconds

    def train_block(self) -> None:
        began = time.perf_counter()
        batches, losses = draw_block(self.corpus, self.config, self.block, self.progress), []
        for batch in batches:
            losses.append(self.train_batch(batch))
            now = time.perf_counter()
            self.seconds += now - began
            began = now
            if self.progress == 1:
                break
        self.block += 1
        tokens = sum(batch.input_ids.numel() for batch in batches[: len(losses)])
        self.log(
            loss=float(np.mean(losses)),
            questions=self.block * self.config.block_batches * self.config.batch_rows,
            tokens=tokens,
        )

    def train_batch(self, batch: Batch) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate(self.progress)
        self.network.train()
        with fast_attention(), torch.autocast("cpu", torch.bfloat16, enabled=self.config.use_bfloat16):
            logits = self.network(batch.input_ids, batch.token_type_ids, batch.attention_mask)
        loss = span_loss(*logits, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_gradient_norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return loss.item()

    def log(self, **figures) -> None:
        line = {"block": self.block, "seconds": round(self.seconds, 1), "progress": round(self.progress, 4), **figures}
        text = json.dumps(line)
        with open(self.out / LOG_NAME, "a") as file:
            file.write(text + "\n")
        print(text, flush=True)

    def save(self) -> None:
        """Write the checkpoint and the weights; a checkpoint half written never replaces a whole one."""
        state = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}
        torch.save(state | {"block": self.block, "seconds": self.seconds}, self.out / (CHECKPOINT_NAME + ".new"))
        (self.out / (CHECKPOINT_NAME + ".new")).replace(self.out / CHECKPOINT_NAME)
        save_file(self.network.state_dict(), self.out / WEIGHTS_NAME)

    def resume(self) -> None:
        state = torch.load(self.out / CHECKPOINT_NAME, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.block, self.seconds = state["block"], state["seconds"]


def draw_block(corpus: Corpus, config: TrainingConfig, block: int, progress: float) -> list[Batch]:
    """Draw one block of batches, rows of similar length together; the same block gets the same questions."""
    rng = np.random.default_rng((config.seed, block))
    rows = config.block_batches * config.batch_rows
    short_share = config.short_share(progress)
    windows = []
    for index in question_order(len(corpus.questions), block * rows, rows, config.seed):
        limit = config.short_window_tokens if rng.random() < short_share else WINDOW_TOKENS
        windows.append(corpus.draw(index, limit, config.forms, rng))
    windows.sort(key=lambda window: len(window.ids))
    starts = rng.permutation(np.arange(0, rows, config.batch_rows))
    return [collate(windows[start : start + config.batch_rows]) for start in starts]


def question_order(count: int, begin: int, rows: int, seed: int) -> list[int]:
    """Which questions rows `begin` to `begin + rows` of the run see: every epoch is a permutation of its own."""
    epochs = range(begin // count, (begin + rows - 1) // count + 1)
    order = np.concatenate([np.random.default_rng((seed, 1, epoch)).permutation(count) for epoch in epochs])
    offset = begin - epochs[0] * count
    return order[offset : offset + rows].tolist()


def span_loss(start_logits: torch.Tensor, end_logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy of the answer's start and end over the context's tokens and [CLS], averaged over both and rows."""
    losses = [
        F.cross_entropy(logits[:, 0].float().masked_fill(~batch.allowed, -math.inf), target)
        for logits, target in ((start_logits, batch.start), (end_logits, batch.end))
    ]
    return (losses[0] + losses[1]) / 2


def fast_attention():
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


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m convai.networks.bert.train", description=__doc__)
    parser.add_argument("--squad", type=Path, required=True, help="training questions, SQuAD v1.1 JSON, may be gzipped")
    parser.add_argument(
        "--encoder", type=Path, required=True, help="folder with config.json, vocab.txt, model.safetensors"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint, weights and log")
    parser.add_argument("--minutes", type=float, default=TrainingConfig.minutes, help="length of the run in minutes")
    parser.add_argument(
        "--learning-rate", type=float, default=TrainingConfig.peak_learning_rate, help="peak learning rate"
    )
    parser.add_argument("--batch-rows", type=int, default=TrainingConfig.batch_rows, help="questions per step")
    parser.add_argument("--seed", type=int, default=TrainingConfig.seed, help="seed of every random choice")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--init", type=Path, help="start from these weights instead of the bare encoder")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    config = TrainingConfig(
        minutes=args.minutes, peak_learning_rate=args.learning_rate, batch_rows=args.batch_rows, seed=args.seed
    )
    network = Bert(encoder_config(args.encoder))
    load_encoder(network, args.encoder)
    if args.init:
        network.load_state_dict(load(args.init))
    trainer = Trainer(config, network, Corpus.load(args.squad, args.encoder / "vocab.txt"), args.out)
    if args.resume:
        trainer.resume()
    trainer.run()


if __name__ == "__main__":
    sys.exit(main())
