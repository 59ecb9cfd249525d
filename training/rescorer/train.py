"""Train the rescorer: python -m training.rescorer.train --corpus corpus.npz --dev dev-v1.1.json.gz --out DIR

Writes to DIR: log.jsonl (loss; perplexity of the questions of --dev, with their passages and without), state.pt (to go
on with --resume) and rescorer.safetensors (averaged weights in INT8, with the vocabulary).
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from convai.backends.steps.rescorer import Vocabulary
from convai.program import run_program
from training.common import run as training_run
from training.rescorer.corpus import Corpus, joined, read_questions
from training.rescorer.training import Recipe, perplexities, training_of


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True, help="what networks.rescorer.corpus wrote")
    parser.add_argument("--dev", type=Path, required=True, help="SQuAD file to measure on")
    training_run.add_arguments(parser, Recipe().schedule)
    return parser


def main(argv: list[str] | None = None) -> int:
    return run_program(build_parser(), run, argv)


def run(args: argparse.Namespace) -> None:
    training_run.prepare(args)
    recipe = Recipe()
    recipe = replace(recipe, schedule=training_run.chosen(recipe.schedule, args))
    corpus = Corpus.load(args.corpus)
    dev = joined(Vocabulary(corpus.words, recipe.config.buckets), read_questions([args.dev]))
    training = training_of(recipe, corpus)
    training_run.run(
        training,
        args,
        "rescorer",
        "small",
        lambda network: perplexities(network, dev),
        metadata={"words": " ".join(corpus.words)},
    )


if __name__ == "__main__":
    sys.exit(main())
