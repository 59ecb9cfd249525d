#!/usr/bin/env bash
# Replays english_trigrams.arpa.gz of model_repository/ctc_decoder/1, whose card stands beside it: three minutes.
# The same texts make the same bytes, but SQuAD had been rebuilt from the browser pages of its official site, Common
# Voice changes its sentences, and of LJ Speech chapters LJ004 and later were read: the public files give other counts.
set -euo pipefail

SQUAD=${SQUAD:-data/train-v1.1.json.gz}                       # rajpurkar/SQuAD-explorer, v1.1 train
COMMON_VOICE=${COMMON_VOICE:-data/common_voice_sentences.txt} # mozilla/common-voice, English sentences, one per line
LJ_SPEECH=${LJ_SPEECH:-data/ljspeech_sentences.txt}           # keithito.com/LJ-Speech-Dataset, LJ004 on
OUT=${OUT:-build/runs/language_model}

mkdir -p "$OUT"
python -m convai.networks.jasper.language_model --texts "$SQUAD" "$COMMON_VOICE" "$LJ_SPEECH" \
    --out "$OUT/english_trigrams.arpa.gz"
