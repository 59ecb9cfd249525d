#!/usr/bin/env bash
# Replays english_trigrams.arpa.gz of model_repository/ctc_decoder/1, whose card stands beside it: ten minutes.
# The same texts make the same bytes, but SQuAD had been rebuilt from the browser pages of its official site, Common
# Voice changes its sentences, of LJ Speech chapters LJ004 and later were read, and what made a sentence per line of the
# everyday texts is not in this repository: the public files give other counts.
set -euo pipefail

SQUAD=${SQUAD:-data/train-v1.1.json.gz}                       # rajpurkar/SQuAD-explorer, v1.1 train
COMMON_VOICE=${COMMON_VOICE:-data/common_voice_sentences.txt} # mozilla/common-voice, English sentences, one per line
LJ_SPEECH=${LJ_SPEECH:-data/ljspeech_sentences.txt}           # keithito.com/LJ-Speech-Dataset, LJ004 on
EVERYDAY=${EVERYDAY:-data/everyday}                           # the card names what: one sentence per line in *.txt
BOOKS=${BOOKS:-data/books.txt}                                # what training.language_model.books wrote
OUT=${OUT:-build/runs/language_model}

mkdir -p "$OUT"
python -m training.language_model.language_model --texts "$SQUAD" "$COMMON_VOICE" "$LJ_SPEECH" "$EVERYDAY"/*.txt \
    --general-texts "$BOOKS" --out "$OUT/english_trigrams.arpa.gz"
