#!/usr/bin/env bash
# Replays english_trigrams.arpa.gz of model_repository/ctc_decoder/1 (its card is beside it): ten minutes.
# The same texts make the same bytes. The public texts give other counts: SQuAD was rebuilt from the browser pages of its
# official site, Common Voice changes its sentences, LJ Speech was read from chapter LJ004 on, and the program that wrote
# the everyday texts with a sentence per line is not in this repository.
set -euo pipefail

SQUAD=${SQUAD:-data/train-v1.1.json.gz}                       # rajpurkar/SQuAD-explorer, v1.1 train
COMMON_VOICE=${COMMON_VOICE:-data/common_voice_sentences.txt} # mozilla/common-voice, English sentences, one per line
LJ_SPEECH=${LJ_SPEECH:-data/ljspeech_sentences.txt}           # keithito.com/LJ-Speech-Dataset, LJ004 on
EVERYDAY=${EVERYDAY:-data/everyday}                           # *.txt with a sentence per line; the card lists them
BOOKS=${BOOKS:-data/books.txt}                                # that training.language_model.books wrote
OUT=${OUT:-build/runs/language_model}

mkdir -p "$OUT"
python -m training.language_model.language_model --texts "$SQUAD" "$COMMON_VOICE" "$LJ_SPEECH" "$EVERYDAY"/*.txt \
    --general-texts "$BOOKS" --out "$OUT/english_trigrams.arpa.gz"
