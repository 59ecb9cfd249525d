#!/usr/bin/env bash
# Replays weights/waveglow.safetensors (weights/waveglow.md): speech of the teacher, then 2,100 steps.
# What differs from the original run: its first 744 steps had a constant rate of 1e-3, at which the likelihood sometimes
# jumped, and only the others 7e-4. Here all steps have 7e-4, falling over the last 40 %.
set -euo pipefail

SQUAD=${SQUAD:-data/train-v1.1.json.gz}                       # rajpurkar/SQuAD-explorer, v1.1 train
COMMON_VOICE=${COMMON_VOICE:-data/common_voice_sentences.txt} # mozilla/common-voice, English sentences, one per line
LJ_SPEECH=${LJ_SPEECH:-data/ljspeech_sentences.txt}           # keithito.com/LJ-Speech-Dataset, transcripts
VOICE=${VOICE:-build/runs/voice}                              # speech that tacotron2.sh uses, too
OUT=${OUT:-build/runs/waveglow}

texts=("$SQUAD" "$COMMON_VOICE" "$LJ_SPEECH")
mkdir -p "$VOICE"
[[ -e $VOICE/pronunciations.txt ]] ||
    python -m training.tacotron2.dictionary --texts "${texts[@]}" --out "$VOICE/pronunciations.txt"
python -m training.tacotron2.synthesize --texts "${texts[@]}" --dictionary "$VOICE/pronunciations.txt" \
    --clips 3000 --out "$VOICE/speech"

start=()
[[ -e $OUT/state.pt ]] && start=(--resume)
python -m training.waveglow.train --manifest "$VOICE/speech/manifest.jsonl" --out "$OUT" \
    --steps 2100 --rate 7e-4 "${start[@]}"
