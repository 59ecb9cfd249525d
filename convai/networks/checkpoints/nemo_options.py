"""Checks the options of a NeMo configuration: what our networks cannot do is refused, by name and value."""

import reprlib
from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

import numpy as np
from torch import Tensor

from convai.arrays import Array
from convai.audio.voice_mel import FFT_LENGTH, HOP_LENGTH, MAX_HERTZ, MIN_MAGNITUDE, filterbank
from convai.description.pipeline import NUM_MELS, VOICE_SAMPLE_RATE_HERTZ
from convai.errors import InvalidArgument
from convai.networks.checkpoints.nemo_archive import NemoArchive

MAX_FILTER_DIFFERENCE = 1e-5  # of filters whose values reach some hundredths

VOICE_PREPROCESSOR = "audio_to_melspec_precessor"  # NeMo's spelling
VOICE_DEFAULTS: dict[str, Any] = {
    "sample_rate": 16_000, "n_window_size": 320, "n_window_stride": 160, "window": "hann", "n_fft": None, "nfilt": 64,
    "lowfreq": 0, "highfreq": None, "log": True, "log_zero_guard_type": "add", "log_zero_guard_value": 2**-24,
    "mag_power": 2.0, "normalize": "per_feature", "preemph": 0.97, "frame_splicing": 1, "mel_norm": "slaney",
}  # fmt: skip
VOICE = {
    "sample_rate": VOICE_SAMPLE_RATE_HERTZ, "n_window_size": FFT_LENGTH, "n_window_stride": HOP_LENGTH,
    "window": "hann", "n_fft": FFT_LENGTH, "nfilt": NUM_MELS, "lowfreq": 0, "highfreq": MAX_HERTZ, "log": True,
    "log_zero_guard_type": "clamp", "log_zero_guard_value": MIN_MAGNITUDE, "mag_power": 1.0, "normalize": None,
    "preemph": None, "frame_splicing": 1, "mel_norm": "slaney",
}  # fmt: skip
# Serving never computes a mel of the voice from audio, so its padding, rounding and timing are not used.
VOICE_IGNORED = (
    *("pad_to", "pad_value", "dither", "exact_pad", "nb_augmentation_prob", "nb_max_freq", "rng", "use_grads"),
    *("max_duration", "stft_conv", "stft_exact_pad"),
)


def read_section(config: Mapping[str, Any], name: str, class_name: str) -> dict[str, Any]:
    """Return the options of one part of a network. Raises InvalidArgument if another class makes that part."""
    part = config.get(name)
    if not isinstance(part, Mapping):
        raise InvalidArgument(f"{name}: expected a table of options, got {shorten(part)}")
    target = str(part.get("_target_", part.get("cls", ""))).rpartition(".")[2]
    if target != class_name:
        raise InvalidArgument(f"{name}: expected class {class_name}, got {target or 'none'}")
    inner = part.get("params", {})  # where NeMo 0.x kept them
    options = {**part, **inner} if isinstance(inner, Mapping) else dict(part)
    return {option: value for option, value in options.items() if option not in ("_target_", "cls", "params")}


def check_options(
    where: str, options: Mapping[str, Any], fixed: Mapping[str, object | tuple[object, ...]], free: Collection[str]
) -> None:
    """Raise InvalidArgument for an option that is neither `free` nor has one of the values in `fixed`."""
    for name, value in options.items():
        if name in fixed:
            expected = fixed[name]
            expected = expected if isinstance(expected, tuple) else (expected,)
            if not any(is_same(value, one) for one in expected):
                rule = " or ".join("none" if one is None else repr(one) for one in expected)
                raise InvalidArgument(f"{where}.{name}: expected {rule}, got {shorten(value)}")
        elif name not in free:
            raise InvalidArgument(f"{where}.{name} = {shorten(value)}: our network has no such option")


def is_same(value: object, expected: object) -> bool:
    if isinstance(expected, bool) or isinstance(value, bool) or expected is None:
        return value is expected
    if isinstance(expected, float | int):
        number = parse_number(value)
        return number is not None and abs(number - expected) <= 1e-9 * abs(expected)
    return value == expected


def parse_number(value: object) -> float | None:
    """Return a finite number, also one such as 1e-5, which YAML 1.1 reads as a string; None for anything else."""
    try:
        number = None if isinstance(value, bool) or not isinstance(value, str | float | int) else float(value)
    except (OverflowError, ValueError):
        return None
    return number if number is not None and isfinite(number) else None


def read_number(where: str, options: Mapping[str, Any], name: str, default: float | None = None) -> float:
    number = parse_number(options.get(name, default))
    if number is None:
        raise InvalidArgument(f"{where}.{name}: expected a number, got {shorten(options.get(name))}")
    return number


def read_integer(where: str, options: Mapping[str, Any], name: str) -> int:
    value = options.get(name)
    if type(value) is not int:
        raise InvalidArgument(f"{where}.{name}: expected an integer, got {shorten(value)}")
    return value


def read_flag(where: str, options: Mapping[str, Any], name: str, default: bool) -> bool:
    value = options.get(name, default)
    if type(value) is not bool:
        raise InvalidArgument(f"{where}.{name}: expected true or false, got {shorten(value)}")
    return value


def check_strings(where: str, value: object) -> list[str]:
    """Return a list of strings. Raises InvalidArgument for anything else."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InvalidArgument(f"{where}: expected a list of strings, got {shorten(value)}")
    return value


def shorten(value: object) -> str:
    return "none" if value is None else reprlib.repr(value)


def check_filters(tensors: Mapping[str, Tensor], key: str, ours: Array) -> None:
    """Compare the mel filters that the file keeps beside its weights with ours.

    Parameters
    ----------
    ours : float, shape = (filters, frequencies)
    """
    if key in tensors:
        theirs = tensors[key].float().numpy().reshape(-1, tensors[key].shape[-1])
        if theirs.shape != ours.shape or np.abs(theirs - ours).max() > MAX_FILTER_DIFFERENCE:
            raise InvalidArgument(f"{key}: expected the {len(ours)} mel filters on Slaney's scale, got others")


def check_voice(archive: NemoArchive) -> None:
    """Raise InvalidArgument if Tacotron 2 or WaveGlow was trained on another mel spectrogram than our steps compute."""
    options = read_section(archive.config, "preprocessor", "FilterbankFeatures")
    check_options("preprocessor", {**VOICE_DEFAULTS, **options}, VOICE, VOICE_IGNORED)
    check_filters(archive.tensors, f"{VOICE_PREPROCESSOR}.fb", filterbank())
