"""The mel spectrogram in NeMo's configurations of Tacotron 2 and WaveGlow, which must be that of the steps here."""

from typing import Any

from convai.audio.voice_mel import FFT_LENGTH, HOP_LENGTH, MAX_HERTZ, MIN_MAGNITUDE, filterbank
from convai.description.pipeline import NUM_MELS, VOICE_SAMPLE_RATE_HERTZ
from convai.networks.checkpoints.nemo_archive import NemoArchive
from convai.networks.checkpoints.nemo_options import check, check_filters, section

PREPROCESSOR = "audio_to_melspec_precessor"  # NeMo's spelling
NEMO_DEFAULTS: dict[str, Any] = {
    "sample_rate": 16_000, "n_window_size": 320, "n_window_stride": 160, "window": "hann", "n_fft": None, "nfilt": 64,
    "lowfreq": 0, "highfreq": None, "log": True, "log_zero_guard_type": "add", "log_zero_guard_value": 2**-24,
    "mag_power": 2.0, "normalize": "per_feature", "preemph": 0.97, "frame_splicing": 1, "mel_norm": "slaney",
}  # fmt: skip
OURS = {
    "sample_rate": VOICE_SAMPLE_RATE_HERTZ, "n_window_size": FFT_LENGTH, "n_window_stride": HOP_LENGTH,
    "window": "hann", "n_fft": FFT_LENGTH, "nfilt": NUM_MELS, "lowfreq": 0, "highfreq": MAX_HERTZ, "log": True,
    "log_zero_guard_type": "clamp", "log_zero_guard_value": MIN_MAGNITUDE, "mag_power": 1.0, "normalize": None,
    "preemph": None, "frame_splicing": 1, "mel_norm": "slaney",
}  # fmt: skip
# A mel is never computed from audio while serving, so its padding, its rounding and its place in time do not count.
WITHOUT_MEANING = (
    *("pad_to", "pad_value", "dither", "exact_pad", "nb_augmentation_prob", "nb_max_freq", "rng", "use_grads"),
    *("max_duration", "stft_conv", "stft_exact_pad"),
)


def check_voice(archive: NemoArchive) -> None:
    """Raise InvalidArgument for a mel spectrogram that differs from the one here."""
    options = section(archive.config, "preprocessor", "FilterbankFeatures")
    check("preprocessor", {**NEMO_DEFAULTS, **options}, OURS, WITHOUT_MEANING)
    check_filters(archive.tensors, f"{PREPROCESSOR}.fb", filterbank())
