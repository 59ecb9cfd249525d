"""What was heard beside what was said: errors of each recording, and the words that are commonly confused."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import jiwer

Confusion = tuple[str, str]
"""A word that was said and what was heard instead; empty where nothing was."""


@dataclass(frozen=True)
class WordErrors:
    """Of one recording: words said, words substituted, deleted or inserted, and which."""

    words: int
    errors: int
    confusions: Counter[Confusion]


def word_errors(said: Sequence[str], heard: Sequence[str]) -> list[WordErrors]:
    """Compare each text said with what was heard of it; both as words between single spaces."""
    aligned = jiwer.process_words(list(said), list(heard))
    compared = zip(aligned.references, aligned.hypotheses, aligned.alignments, strict=True)
    made = []
    for reference, hypothesis, chunks in compared:
        confusions = Counter(pair for chunk in chunks for pair in _confusions(reference, hypothesis, chunk))
        made.append(WordErrors(len(reference), confusions.total(), confusions))
    return made


def _confusions(reference: list[str], hypothesis: list[str], chunk: jiwer.AlignmentChunk) -> Iterator[Confusion]:
    if chunk.type == "equal":
        return iter(())
    said = reference[chunk.ref_start_idx : chunk.ref_end_idx]
    heard = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
    return zip_longest(said, heard, fillvalue="")


def commonest(errors: Sequence[WordErrors], count: int) -> list[tuple[Confusion, int]]:
    """The confusions that occur most often, with how often; equally frequent ones by the alphabet."""
    total = Counter(pair for one in errors for pair in one.confusions.elements())
    return sorted(total.items(), key=lambda item: (-item[1], item[0]))[:count]
