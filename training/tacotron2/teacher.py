"""The teacher: hibari's voice, which speaks given symbols and returns the time of each.

Its phonemes (one character each, misaki's alphabet) distinguish the same sounds as ARPAbet, except the flap in `water`,
which ARPAbet writes T; `flap` restores it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from convai.backends.steps.audio_trimmer import bring_peak_between
from convai.description.pipeline import VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument
from convai.text.symbols import PUNCTUATION, STRESSES

SECONDS_PER_DURATION = 0.025  # of hibari: two frames of 300 samples at 24 kHz
MAX_TEACHER_SYMBOLS = 400
GAIN = 1.5  # the teacher is quiet: this brings most peaks to -7 to -1 dBFS
PEAK_DBFS = -1.0  # of the loudest sentences
SILENCE = 6e-4  # after the gain; between breath and the digital silence around a sentence
MARGIN_SECONDS = 0.05  # kept of the silence around a sentence

VOWELS = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ",
    "EY": "A", "IH": "ɪ", "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u",
}  # fmt: skip
CONSONANTS = {
    "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "ʤ", "K": "k", "L": "l", "M": "m",
    "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j",
    "Z": "z", "ZH": "ʒ",
}  # fmt: skip
REDUCED = {"AH0": "ə", "AH": "ᵊ", "IH": "ᵻ", "ER0": "əɹ"}  # vowels that the teacher distinguishes from their full forms
OTHER_SPELLINGS = {"ɐ": "AH0", "T": "T", "ˈə": "AH1", "ˌə": "AH2", "ˈəɹ": "ER1", "ˌəɹ": "ER2"}
STRESS_MARKS = dict(zip(STRESSES, ("", "", "ˈ", "ˌ"), strict=True))

TEACHER_SPELLINGS = (
    {vowel + stress: mark + sound for vowel, sound in VOWELS.items() for stress, mark in STRESS_MARKS.items()}
    | CONSONANTS
    | REDUCED
)
_arpabet_symbols = (
    {mark + sound: vowel + (stress or "0") for vowel, sound in VOWELS.items() for stress, mark in STRESS_MARKS.items()}
    | {sound: vowel + "0" for vowel, sound in VOWELS.items()}
    | {sound: consonant for consonant, sound in CONSONANTS.items()}
    | {sound: vowel for vowel, sound in REDUCED.items()}
    | OTHER_SPELLINGS
)
_sound = re.compile("|".join(sorted(map(re.escape, _arpabet_symbols), key=len, reverse=True)))
_flapped = re.compile("(?<=[AIOWYiuæɑɔəɛɪɹʊʌ])t(?=[AIOWYiuæɑəɛɜɪʊʌᵊᵻ])")
_part = re.compile(r"\{([^{}]*)\}|([a-z]+(?:'[a-z]+)*)|(.)")


def to_arpabet(teacher_word: str) -> str | None:
    """Convert a word of the teacher's phonemes, such as to "HH AH0 L OW1"; None if it has a sound English lacks."""
    if not teacher_word or _sound.sub("", teacher_word):
        return None
    return " ".join(_arpabet_symbols[sound] for sound in _sound.findall(teacher_word))


def flap(teacher_text: str) -> str:
    """Flap each t between a vowel and an unstressed one, as Americans do; the number of characters stays."""
    return _flapped.sub("T", teacher_text)


@dataclass(frozen=True)
class Speech:
    """
    Attributes
    ----------
    audio : float32, shape = (samples,), 22,050 Hz
    ends : second at which each symbol ends
    """

    audio: np.ndarray
    ends: list[float]

    @property
    def seconds(self) -> float:
        return len(self.audio) / VOICE_SAMPLE_RATE_HERTZ


def spell_for_teacher(spoken: str, read_word: Callable[[str], str]) -> list[tuple[int, str]]:
    """Pair our symbols with the teacher's.

    Parameters
    ----------
    spoken : a text as text_encoder prepares it, phonemes in braces
    read_word : returns the teacher's phonemes of a word written in letters

    Returns
    -------
    list of (number of our symbols, the teacher's characters for them)
    """
    pairs = []
    for phonemes, word, other in _part.findall(spoken):
        if phonemes:
            pairs += [(1, TEACHER_SPELLINGS[phoneme]) for phoneme in phonemes.split()]
        elif word:
            pairs.append((len(word), read_word(word)))
        else:
            pairs.append((1, " " if other == "-" else other if other in PUNCTUATION and other != "'" else ""))
    return pairs


def compute_symbol_ends(pairs: list[tuple[int, str]], durations: np.ndarray) -> list[float]:
    """Seconds at which each of our symbols ends; several symbols of one pair share its time evenly.

    Parameters
    ----------
    durations : of the silence before, of each of the teacher's characters, of the silence after
    """
    ends, past = [], float(durations[0])
    position = 1
    for symbols, characters in pairs:
        length = float(durations[position : position + len(characters)].sum())
        ends += [past + length * (i + 1) / symbols for i in range(symbols)]
        past, position = past + length, position + len(characters)
    ends[-1] += float(durations[position:].sum())
    return [end * SECONDS_PER_DURATION for end in ends]


def trim_silence(audio: np.ndarray, ends: list[float]) -> Speech:
    """Cut the silence around the sentence to a margin, and shift the ends accordingly."""
    audible = np.flatnonzero(np.abs(audio) > SILENCE)
    if not len(audible):
        raise InvalidArgument(f"expected audible speech, got {len(audio)} samples of silence")
    margin = round(MARGIN_SECONDS * VOICE_SAMPLE_RATE_HERTZ)
    start, stop = max(0, audible[0] - margin), min(len(audio), audible[-1] + margin)
    seconds = (stop - start) / VOICE_SAMPLE_RATE_HERTZ
    moved = np.clip(np.array(ends) - start / VOICE_SAMPLE_RATE_HERTZ, 0, seconds)
    moved[-1] = seconds
    return Speech(audio[start:stop], [round(float(end), 4) for end in moved])


class Teacher:
    """Needs the package hibari-tts, whose wheel contains the voice."""

    def __init__(self):
        import onnx
        import onnxruntime
        from hibari import Hibari

        self.hibari = Hibari()
        self.words: dict[str, str] = {}
        graph = onnx.load(self.hibari.model_path)
        # The durations of the phonemes are the input of the sum that computes their starts.
        durations = next(node for node in graph.graph.node if node.op_type == "CumSum").input[0]
        graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(durations))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session: Any = onnxruntime.InferenceSession(graph.SerializeToString(), options, ["CPUExecutionProvider"])

    def read_word(self, word: str) -> str:
        if word not in self.words:
            phonemes = self.hibari.g2p(word, normalize_text=False)
            self.words[word] = "".join(character for character in phonemes if character in self.hibari.vocab)
        return self.words[word]

    def say(self, spoken: str, seed: int = 0) -> Speech:
        """Say a text as text_encoder prepares it. Raises InvalidArgument if it is too long to be said at once."""
        from hibari import dsp

        pairs = spell_for_teacher(spoken, self.read_word)
        characters = flap("".join(characters for _, characters in pairs))
        if len(characters) > MAX_TEACHER_SYMBOLS:
            raise InvalidArgument(f"expected at most {MAX_TEACHER_SYMBOLS} phonemes at once, got {len(characters)}")
        ids = np.array([self.hibari.ids(characters)], np.int64)
        *spectra, durations = self.session.run(None, {"ids": ids, "speed": np.ones(1, np.float32)})
        harmonic, theta, noise, free, phase, pitch = (spectrum[0] for spectrum in spectra)
        audio = dsp.synth(harmonic, theta, noise, free, phase, pitch, np.random.default_rng(seed))
        audio = soxr.resample(audio * np.float32(GAIN), dsp.SR, VOICE_SAMPLE_RATE_HERTZ)
        return trim_silence(bring_peak_between(audio, None, PEAK_DBFS), compute_symbol_ends(pairs, durations))
