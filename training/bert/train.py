"""Fine-tune BERT: python -m training.bert.train --squad train-v1.1.json.gz --encoder DIR --out DIR

Writes to OUT: log.jsonl (loss; that of --dev and the share of its answers found), state.pt (to go on with --resume) and
bert.safetensors (weights, FP16, most of them INT8).
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from convai.networks.checkpoints.weights import config_name_of
from convai.networks.registry import NETWORKS
from convai.program import run_program
from training.bert.data import Corpus
from training.bert.encoder import encoder_config
from training.bert.measure import dev_batches, measure
from training.bert.recipe import Recipe
from training.bert.training import training_of
from training.common import run as training_run

VOCABULARY = "vocab.txt"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--squad", type=Path, required=True, help="questions to learn from, SQuAD v1.1 JSON, or gzipped"
    )
    parser.add_argument(
        "--encoder", type=Path, required=True, help=f"folder with config.json, {VOCABULARY}, model.safetensors"
    )
    parser.add_argument("--dev", type=Path, help="questions to measure on, likewise")
    parser.add_argument("--dev-questions", type=int, default=100, help="questions measured")
    training_run.add_arguments(parser, Recipe().schedule)
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    training_run.prepare(args)
    recipe = Recipe()
    recipe = replace(recipe, schedule=training_run.chosen(recipe.schedule, args))
    corpus = Corpus.load(args.squad, args.encoder / VOCABULARY)
    kept = dev_batches(Corpus.load(args.dev, args.encoder / VOCABULARY), args.dev_questions) if args.dev else []
    print(f"{len(corpus.questions)} questions to learn from, {sum(map(len, kept))} to measure on")
    training = training_of(recipe, corpus, args.encoder)
    name = config_name_of(NETWORKS["bert"], encoder_config(args.encoder))
    training_run.run(training, args, "bert", name, lambda network: measure(network, kept))


if __name__ == "__main__":
    sys.exit(main())
