"""Speech features equal NVIDIA's definition, reject bad audio and do not depend on their bucket."""

import numpy as np
import pytest
import torch
from librosa.filters import mel as mel_filterbank
from support.sounds import silence

from convai.backends.steps.question_audio import resample
from convai.backends.steps.speech_features import (
    SpeechFeatures,
    find_speech,
    log_mel_spectrogram,
    normalise_features,
    raise_noise_floor,
)
from convai.errors import InvalidArgument
from convai.generator.targets import Buckets


def tone(seconds=1.0, sample_rate=16_000, hertz=440.0, amplitude=0.5):
    noise = np.random.default_rng(0).normal(scale=0.01, size=round(seconds * sample_rate))
    time = np.arange(len(noise)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * hertz * time) + noise).astype(np.float32)


def make_step(**parameters):
    return SpeechFeatures(**Buckets().parameters_of("speech_features") | parameters)


def run(audio, sample_rate=16_000, **parameters):
    return make_step(**parameters)(question_audio=audio, sample_rate=np.array([sample_rate], np.int32))


def jasper_features(audio):
    return normalise_features(log_mel_spectrogram(audio))


def nvidia_features(audio):
    """The published definition, in PyTorch: the reference for parity."""
    x = torch.from_numpy(audio).double()
    x = torch.cat((x[:1], x[1:] - 0.97 * x[:-1]))
    window = torch.hann_window(320, periodic=False, dtype=torch.float64)
    spectrum = torch.stft(x, 512, hop_length=160, win_length=320, window=window, center=True, return_complex=True)
    filters = torch.from_numpy(mel_filterbank(sr=16_000, n_fft=512, n_mels=64, fmin=0, fmax=8_000)).double()
    features = torch.log(filters @ spectrum.abs() ** 2 + 1e-20)[:, : -(-len(audio) // 160)]
    return ((features - features.mean(1, keepdim=True)) / (features.std(1, keepdim=True) + 1e-5)).numpy()


@pytest.mark.parametrize("num_samples", [1_600, 1_601, 15_999, 80_123])
def test_features_equal_the_definition_of_nvidia_within_1e_3(num_samples):
    audio = tone(seconds=num_samples / 16_000)
    np.testing.assert_allclose(jasper_features(audio), nvidia_features(audio), atol=1e-3)


@pytest.mark.parametrize(("num_samples", "frames"), [(1_600, 10), (1_601, 11), (16_000, 100), (480_000, 3_000)])
def test_every_hop_begun_is_a_valid_frame(num_samples, frames):
    result = run(tone(seconds=num_samples / 16_000))
    assert result["features_length"].tolist() == [frames]
    assert result["features_length"].dtype == np.int32


def test_features_are_padded_with_zeros_to_the_smallest_bucket_that_holds_them():
    features = run(tone(seconds=1.5))["features"]
    assert (features.shape, features.dtype) == ((64, 192), np.float32)
    assert np.all(features[:, 150:] == 0)
    assert np.all(features[:, :150].std(axis=1) > 0.9)


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 48_000])
def test_resampling_keeps_the_frequency_of_a_tone(sample_rate):
    resampled = resample(tone(sample_rate=sample_rate), sample_rate)
    spectrum = np.abs(np.fft.rfft(resampled))
    assert abs(len(resampled) - 16_000) <= 1
    assert abs(spectrum.argmax() - 440) <= 1


@pytest.mark.parametrize("sample_rate", [8_000, 11_025, 44_100, 48_000])
def test_the_shortest_and_the_longest_audio_work_at_every_sample_rate(sample_rate):
    assert run(tone(0.1, sample_rate), sample_rate)["features_length"][0] in (10, 11)
    assert run(tone(30, sample_rate), sample_rate)["features_length"][0] in (3_000, 3_001)


@pytest.mark.parametrize("amplitude", [0.0, 10 ** (-61 / 20)])
def test_silence_has_no_valid_frame(amplitude):
    result = run(np.full(16_000, amplitude, np.float32))
    assert result["features_length"].tolist() == [0]
    assert result["features"].shape == (64, 128)
    assert not result["features"].any()


def words_with_pauses(background):
    """Noise that comes and goes, on a steady background of the given amplitude."""
    noise = np.random.default_rng(1).normal(size=(2, 16_000))
    loudness = np.repeat([0.1, 0, 0.1, 0], 4_000)
    return (noise[0] * loudness + noise[1] * background).astype(np.float32)


def test_with_a_noise_floor_digital_silence_has_the_features_of_a_quiet_room():
    clean, quiet_room = words_with_pauses(0), words_with_pauses(0.0001)
    apart = np.abs(jasper_features(clean) - jasper_features(quiet_room)).mean()
    with_floor = [run(audio, noise_floor_decibels=-50)["features"] for audio in (clean, quiet_room)]
    assert np.abs(with_floor[0] - with_floor[1]).mean() < 0.1 * apart


def test_a_noise_floor_is_relative_to_the_mean_power():
    raised = raise_noise_floor(log_mel_spectrogram(words_with_pauses(0)), -30)
    np.testing.assert_allclose(raised.min() - np.log(np.exp(raised).mean()), -3 * np.log(10), atol=0.01)


NAN_AND_INFINITE = np.where(np.arange(16_000) < 3, np.nan, np.where(np.arange(16_000) < 5, -np.inf, tone()))


@pytest.mark.parametrize(
    ("audio", "sample_rate", "message"),
    [
        (NAN_AND_INFINITE, 16_000, "question_audio: expected finite samples, got 3 NaN and 2 infinite ones"),
        (tone(0), 16_000, "question_audio: expected 0.1 to 30 s .*, got 0.000 s"),
        (tone(0.099), 16_000, "question_audio: expected 0.1 to 30 s .*, got 0.099 s"),
        (tone(30.001), 16_000, "question_audio: expected 0.1 to 30 s .*, got 30.001 s"),
        (tone()[:799], 8_000, r"\(800 to 240000 samples at 8000 Hz\), got .*\(799 samples\)"),
        (tone(), -1, "sample_rate: expected 8000 to 48000 Hz, got -1"),
        (tone(), 7_999, "sample_rate: expected 8000 to 48000 Hz, got 7999"),
        (tone(), 48_001, "sample_rate: expected 8000 to 48000 Hz, got 48001"),
        (tone() * 32_768, 16_000, "question_audio: expected samples from -1 to 1, .*; divide 16-bit integers by 32768"),
        (np.stack((tone(), tone())), 16_000, r"question_audio: expected one axis, .* got shape \[2, 16000\]"),
    ],
)
def test_audio_that_cannot_be_processed_is_refused(audio, sample_rate, message):
    with pytest.raises(InvalidArgument, match=message):
        run(audio, sample_rate)


def test_a_context_that_is_too_large_is_refused_before_the_audio_is_read():
    with pytest.raises(InvalidArgument, match="context: expected at most 32768 bytes of UTF-8, got 32769"):
        make_step()(question_audio=tone(0), sample_rate=np.array([16_000], np.int32), context="x" * 32_769)


def test_a_small_overshoot_of_full_scale_is_accepted():
    assert run(tone(amplitude=1.02))["features_length"][0] == 100


@pytest.mark.parametrize("wrong", [{"buckets": [128, 64]}, {"buckets": [64]}, {"noise_floor_decibels": 3.0}])
def test_a_wrong_parameter_is_named(wrong):
    with pytest.raises(InvalidArgument, match=f"^{next(iter(wrong))}: expected"):
        make_step(**wrong)


@pytest.mark.parametrize("kind", ["zeros", "noise", "hum"])
@pytest.mark.parametrize("seconds", [0.5, 2, 5, 20])
def test_silence_around_speech_is_not_part_of_it(kind, seconds):
    words = words_with_pauses(0)
    quiet = silence(kind, seconds)
    speech = find_speech(log_mel_spectrogram(np.concatenate([quiet, words, quiet])))
    begin, num_words = round(seconds * 100), len(words) // 160
    assert speech[begin : begin + num_words].all()
    assert speech.sum() <= num_words + 2 * 73  # 0.7 s on each side, and the frames that overlap the words


def test_more_silence_does_not_change_the_features_of_the_words():
    words = words_with_pauses(0)

    def features_of_words(seconds):
        quiet = silence("noise", seconds)
        features = run(np.concatenate([quiet, words, quiet]), noise_floor_decibels=-50.0)["features"]
        return features[:, round(seconds * 100) :][:, : len(words) // 160]

    np.testing.assert_allclose(features_of_words(10), features_of_words(1), atol=0.05)


def test_pauses_between_words_and_audio_of_one_level_are_speech():
    words = words_with_pauses(0)
    assert find_speech(log_mel_spectrogram(np.concatenate([words, silence("zeros", 1), words]))).all()
    assert find_speech(log_mel_spectrogram(silence("noise", 1))).all()
