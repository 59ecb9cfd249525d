#!/usr/bin/env bash
# Trains Jasper for a few minutes on a machine with a GPU, and brings back weights and log:
#   GPU="ssh somebody@machine" training/short_gpu.sh MINUTES
# With GPU unset, everything runs here. Its stages may be named: training/short_gpu.sh MINUTES pack send train fetch.
# Started again, it continues the training; with fresh packs in OUT/packs, on other speech.
set -euo pipefail

MINUTES=${1:?how many minutes to train} && shift
REAL=${REAL:-data/an4 data/speechocean762}  # folders with manifest.jsonl, read by people
SYNTHETIC=${SYNTHETIC:-data/synthetic}      # likewise, synthetic; made here if there is no such folder
COMMON_VOICE=${COMMON_VOICE:-data/common_voice_sentences.txt} # what synthetic speech says
CLIPS=${CLIPS:-4000}                        # of synthetic speech, if it is made
PACKS=${PACKS:-1} MEBIBYTES=${MEBIBYTES:-60} # transfers at most, and the size of each
INIT=${INIT:-}                              # weights to start from; none are random ones
OPTIONS=${OPTIONS:---size small}            # further ones of training.jasper.train
GPU=${GPU:-}                                # runs a command line on the other machine
FOLDER=${FOLDER:-convai-short-gpu}          # on the other machine
PYTHON=${PYTHON:-python}                    # there, with PyTorch for its GPU and what convai's extra train installs
OUT=${OUT:-build/runs/short_gpu}

there() { # COMMAND: runs it in the repository on the other machine, or here
    if [[ $GPU ]]; then $GPU "mkdir -p '$FOLDER' && cd '$FOLDER' && $1"; else bash -c "$1"; fi
}

pack() {
    [[ -e $SYNTHETIC/manifest.jsonl ]] || python -m training.voices.synthesize --texts "$COMMON_VOICE" \
        --voice flite:{slt,awb,kal16} espeak-ng:{en-us,en-gb,en-gb-scotland}+{f2,m3} --clips "$CLIPS" --out "$SYNTHETIC"
    local real=()
    for folder in $REAL; do real+=("$folder/manifest.jsonl"); done
    python -m training.common.pack --real "${real[@]}" --synthetic "$SYNTHETIC/manifest.jsonl" \
        --packs "$PACKS" --mebibytes "$MEBIBYTES" --out "$OUT/packs"
}

send() {
    [[ $GPU ]] || return 0
    git archive HEAD convai training pyproject.toml model_repository weights | there "tar x"
    for file in "$OUT"/packs/*.tar; do there "mkdir -p '$OUT/packs' && cat > '$file'" <"$file"; done
    [[ ! $INIT ]] || there "mkdir -p '$(dirname "$INIT")' && cat > '$INIT'" <"$INIT"
}

train() {
    local start=${INIT:+--init $INIT}
    there "set -e
        mkdir -p '$OUT/speech'
        for file in '$OUT'/packs/*.tar; do tar x -C '$OUT/speech' -f \"\$file\"; done
        start='$start'
        if [ -e '$OUT/state.pt' ]; then start=--resume; fi
        $PYTHON -m training.jasper.train --manifest '$OUT'/speech/*/synthetic/manifest.jsonl \
            --real '$OUT'/speech/*/real/manifest.jsonl --dev '$OUT'/speech/*/dev/manifest.jsonl \
            --cache '$OUT/cache' --out '$OUT' --minutes $MINUTES $OPTIONS \$start"
}

fetch() {
    [[ $GPU ]] || return 0
    there "tar c -C '$OUT' jasper.safetensors log.jsonl" | tar x -C "$OUT"
}

for stage in "${@:-pack send train fetch}"; do
    for one in $stage; do "$one"; done
done
