"""Trains the rescorer.

    python -m training.rescorer.train --corpus corpus.npz --dev dev-v1.1.json.gz --out DIR

Writes to DIR: log.jsonl (loss; perplexity of the questions of --dev, with their passages and without), state.pt (for
--resume) and rescorer.safetensors (averaged weights in INT8, with the vocabulary).
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch
from torch import Tensor

from convai.backends.steps.rescorer import Vocabulary
from convai.program import run_program
from training.common.device import move
from training.common.run import Run, make_training_parser, train
from training.common.training import Training
from training.rescorer.batches import RescorerBatches, RescorerRecipe
from training.rescorer.corpus import Corpus, build_corpus, read_questions
from training.rescorer.model import Batch, Rescorer, names_of_int8_matrices

DEV_PASSAGES, PASSAGES_PER_DEV_BATCH = 200, 20


def build_parser() -> ArgumentParser:
    parser = make_training_parser("training.rescorer.train", __doc__, RescorerRecipe())
    parser.add_argument("--corpus", type=Path, required=True, help="file that training.rescorer.corpus wrote")
    parser.add_argument("--dev", type=Path, required=True, help="SQuAD file to measure on")
    return parser


def start(args: Namespace) -> Run[Rescorer]:
    recipe = RescorerRecipe().with_options(args)
    corpus = Corpus.load(args.corpus)
    dev = build_corpus(Vocabulary(corpus.words, recipe.config.buckets), read_questions([args.dev]))
    training, metadata = build_training(recipe, corpus), {"words": " ".join(corpus.words)}
    return Run(training, "rescorer", "small", lambda network: measure_perplexities(network, dev), metadata)


def build_training(recipe: RescorerRecipe, corpus: Corpus) -> Training[Rescorer]:
    """Prepare a run that starts with a random network."""
    torch.manual_seed(recipe.schedule.seed)
    network = Rescorer(recipe.config).to(recipe.device)
    batches = RescorerBatches(corpus, recipe)

    def compute_losses(network: Rescorer, batch: Batch, step: int) -> dict[str, Tensor]:
        loss = -network(batch).mean()
        return {"loss": loss, "sentences" if batch.passages is None else "questions": loss}

    int8 = names_of_int8_matrices(network)
    return Training(network, recipe.schedule, batches.at, compute_losses, int8=int8)


@torch.inference_mode()
def measure_perplexities(network: Rescorer, corpus: Corpus) -> dict[str, float]:
    """Perplexity of the questions about the first passages of a corpus, with the passage and without."""
    batches = RescorerBatches(corpus, RescorerRecipe(config=network.config))
    device = next(network.parameters()).device
    count = min(DEV_PASSAGES, len(corpus.passages))
    log_probs: dict[str, list[Tensor]] = {"with_passage": [], "without": []}
    for first in range(0, count, PASSAGES_PER_DEV_BATCH):
        chosen = range(first, min(first + PASSAGES_PER_DEV_BATCH, len(corpus.passages)))
        questions = range(batches.first_questions[chosen[0]], batches.first_questions[chosen[-1] + 1])
        log_probs["with_passage"].append(network(move(batches.show_passages(chosen), device)))
        log_probs["without"].append(network(move(batches.show_texts(corpus.questions, questions), device)))
    return {name: round(float(torch.exp(-torch.cat(parts).mean())), 1) for name, parts in log_probs.items()}


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), lambda args: train(args, start), argv)


if __name__ == "__main__":
    sys.exit(main())
