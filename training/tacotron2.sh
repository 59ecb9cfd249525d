#!/usr/bin/env bash
# Replays weights/tacotron2.safetensors (weights/tacotron2.md): speech of the teacher, then 39,800 steps, about eight
# hours of one core.
# What differs from the original run:
# - The first 1,311 steps used only the 3,000 clips of `speech`; the first 1,275 steps of the stage `clearer` only those
#   of `short_2` and `long_2`.
# - All stages before `no_dropout` had a dropout of 0.5 in encoder and postnet, and 0.1 in attention and decoder. The
#   recipe has no dropout.
# - Each stage `no_dropout` was planned with more steps and shortened while it ran: its rate fell to zero from there.
# - Up to step 1,850, 20 % of the batches were decoded step by step; the recipe has 6 %.
# A run that starts from weights counts its first 1,000 steps as done: 6,000 are 5,000 new ones.
set -euo pipefail

SQUAD=${SQUAD:-data/train-v1.1.json.gz}                       # rajpurkar/SQuAD-explorer, v1.1 train
COMMON_VOICE=${COMMON_VOICE:-data/common_voice_sentences.txt} # mozilla/common-voice, English sentences, one per line
LJ_SPEECH=${LJ_SPEECH:-data/ljspeech_sentences.txt}           # keithito.com/LJ-Speech-Dataset, transcripts
VOICE=${VOICE:-build/runs/voice}                              # folder of the speech, which waveglow.sh uses, too
OUT=${OUT:-build/runs/tacotron2}

texts=("$SQUAD" "$COMMON_VOICE" "$LJ_SPEECH")
mkdir -p "$VOICE"
[[ -e $VOICE/pronunciations.txt ]] ||
    python -m training.tacotron2.dictionary --texts "${texts[@]}" --out "$VOICE/pronunciations.txt"

say() { # FOLDER OPTIONS...: continues after an interruption
    python -m training.tacotron2.synthesize --dictionary "$VOICE/pronunciations.txt" --out "$VOICE/$1" "${@:2}"
}

train() { # STAGE FROM OPTIONS...: starts from the weights of stage FROM, or random ones (none), or resumes the stage
    local start=()
    [[ $2 != none ]] && start=(--init "$OUT/$2/tacotron2.safetensors")
    [[ -e $OUT/$1/state.pt ]] && start=(--resume)
    python -m training.tacotron2.train --out "$OUT/$1" "${start[@]}" "${@:3}"
}

say speech --texts "${texts[@]}" --clips 3000
say more --texts "${texts[@]}" --clips 8000
first=("$VOICE/speech/manifest.jsonl" "$VOICE/more/manifest.jsonl")
train first none --manifest "${first[@]}" --steps 8400 --rate 1.5e-3
train first none --manifest "${first[@]}" --steps 9400 --rate 1.5e-3 # resumes, from 14 % of the rate to zero

say new --texts "${texts[@]}" --clips 8000 --seed 11
train new first --manifest "$VOICE/new/manifest.jsonl" --steps 6000 --rate 1.5e-3

say short --texts "$SQUAD" --max-words 5 --clips 12000 --seed 21
say long --texts "${texts[@]}" --clips 4000 --seed 22
answers=("$VOICE/short/manifest.jsonl" "$VOICE/long/manifest.jsonl")
train answers new --manifest "${answers[@]}" --steps 7200 --rate 1.2e-3
train answers_again answers --manifest "${answers[@]}" --steps 7500 --rate 1.2e-3

say short_2 --texts "$SQUAD" --max-words 5 --clips 5000 --seed 31
say long_2 --texts "${texts[@]}" --clips 2000 --seed 32
say short_3 --texts "$SQUAD" --max-words 5 --clips 7000 --seed 41
say long_3 --texts "${texts[@]}" --clips 2000 --seed 42
train clearer answers_again --manifest "$VOICE"/{short_2,long_2,short_3,long_3}/manifest.jsonl --steps 9600 --rate 1.2e-3

say short_4 --texts "$SQUAD" --max-words 5 --clips 5000 --seed 51
say long_4 --texts "${texts[@]}" --clips 2000 --seed 52
last=("$VOICE/short_4/manifest.jsonl" "$VOICE/long_4/manifest.jsonl")
train no_dropout clearer --manifest "${last[@]}" --steps 2600 --rate 1.2e-3
train no_dropout_2 no_dropout --manifest "${last[@]}" --steps 3500 --rate 1.2e-3
