#!/usr/bin/env bash
# Replays english_rescorer.safetensors of model_repository/ctc_decoder/1 (its card is beside it): 10,776 steps, 85
# minutes of one core.
# What differs from the original run:
# - The first 2,576 steps were made by an earlier version, with the 32,000 most frequent words of other texts and without
#   unrelated sentences. Letters, digits and dates were added for the last 2,543 steps.
# - The program that wrote the everyday texts with a sentence per line is not in this repository; of some sources only a
#   part was available.
# - SQuAD was rebuilt from the browser pages of its official site.
set -euo pipefail

SQUAD=${SQUAD:-data/train-v1.1.json.gz}                       # rajpurkar/SQuAD-explorer, v1.1 train
SQUAD_DEV=${SQUAD_DEV:-data/dev-v1.1.json}                    # the same, v1.1 dev; left out, and measured on
COMMON_VOICE=${COMMON_VOICE:-data/common_voice_sentences.txt} # mozilla/common-voice, English sentences, one per line
LJ_SPEECH=${LJ_SPEECH:-data/ljspeech_sentences.txt}           # keithito.com/LJ-Speech-Dataset, LJ004 on
EVERYDAY=${EVERYDAY:-data/everyday}                           # *.txt with a sentence per line; the card lists them
BOOKS=${BOOKS:-data/books.txt}                                # that training.language_model.books wrote
AN4=${AN4:-data/an4}                                          # recordings whose texts are left out, likewise the next
SPEECHOCEAN762=${SPEECHOCEAN762:-data/speechocean762}
OUT=${OUT:-build/runs/rescorer}

mkdir -p "$OUT"
[[ -e $OUT/corpus.npz ]] || python -m training.rescorer.corpus \
    --texts "$SQUAD" "$COMMON_VOICE" "$LJ_SPEECH" "$EVERYDAY"/*.txt --general-texts "$BOOKS" \
    --without "$SQUAD_DEV" "$AN4/manifest.jsonl" "$SPEECHOCEAN762/manifest.jsonl" --out "$OUT/corpus.npz"

start=()
[[ -e $OUT/state.pt ]] && start=(--resume)
python -m training.rescorer.train --corpus "$OUT/corpus.npz" --dev "$SQUAD_DEV" --out "$OUT" \
    --steps 10776 "${start[@]}"
