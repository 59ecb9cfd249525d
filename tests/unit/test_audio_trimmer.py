"""The answer's audio is cut, fitted to its mel, faded and kept below full scale."""

import numpy as np
import pytest
import torch
from librosa.filters import mel as librosa_mel

from convai.audio.voice_mel import istft, mel_spectrogram, stft
from convai.backends.steps.audio_trimmer import AudioTrimmer, bring_peak_between
from convai.backends.steps.post_filters import denoise, fit_to_mel
from convai.errors import InvalidArgument

FRAMES = 60


def voice(frames=FRAMES, amplitude=0.3):
    """A gliding tone with overtones that swells and dies away."""
    time = np.arange(frames * 256) / 22_050
    phase = 2 * np.pi * (150 * time + 40 * time**2)
    tone = sum(np.sin(number * phase) / number for number in range(1, 12))
    return (amplitude * tone * np.hanning(len(time))).astype(np.float32)


def mel_of(audio):
    return mel_spectrogram(audio)[:, : len(audio) // 256]


def rough(audio):
    """What a poor vocoder makes of `audio`: wrong levels and noise."""
    spectrum = stft(audio)
    rng = np.random.default_rng(0)
    gain = np.exp(rng.normal(size=spectrum.shape)).astype(np.float32)
    return istft(spectrum * gain) + rng.normal(scale=0.01, size=len(audio)).astype(np.float32)


def run(audio, mel, length=None, **parameters):
    length = mel.shape[1] if length is None else length
    step = AudioTrimmer(**parameters)
    return step(audio=audio, padded_mel=mel, mel_length=np.array([length], np.int32))["answer_audio"]


def run_piece(audio, mel, begin, end, fades=(False, False), gain=1.0, pause_seconds=0.0, **parameters):
    return AudioTrimmer(**parameters)(
        audio=audio,
        padded_mel=mel,
        mel_length=np.array([mel.shape[1]], np.int32),
        kept_frames=np.array([begin, end], np.int32),
        fades=np.array(fades),
        gain=np.array([gain], np.float32),
        pause_seconds=np.array([pause_seconds], np.float32),
    )["answer_audio"]


def mel_error(audio, mel):
    return np.abs(mel_of(audio) - mel).mean()


def test_the_mel_equals_the_definition_of_nvidia_within_1e_3():
    audio = voice() + np.random.default_rng(0).normal(scale=1e-3, size=FRAMES * 256).astype(np.float32)
    window = torch.hann_window(1024)
    spectrum = torch.stft(torch.from_numpy(audio), 1024, hop_length=256, window=window, return_complex=True).abs()
    filters = torch.from_numpy(librosa_mel(sr=22_050, n_fft=1024, n_mels=80, fmin=0, fmax=8_000))
    expected = torch.log(torch.clamp(filters @ spectrum, min=1e-5))
    np.testing.assert_allclose(mel_spectrogram(audio), expected.numpy(), atol=1e-3)


def test_the_post_filter_brings_rough_audio_close_to_its_mel():
    audio, mel = voice(), mel_of(voice())
    once, often = (mel_error(fit_to_mel(rough(audio), mel, iterations), mel) for iterations in (1, 4))
    assert often < once < 0.5 * mel_error(rough(audio), mel)
    assert often < 0.3 * mel_error(rough(audio), mel)


def test_the_post_filter_leaves_audio_that_fits_its_mel_alone():
    audio = voice()
    np.testing.assert_allclose(fit_to_mel(audio, mel_of(audio), 4), audio, atol=2e-3)


def test_the_post_filter_silences_noise_where_the_mel_is_silent():
    noise = np.random.default_rng(0).normal(scale=0.01, size=FRAMES * 256).astype(np.float32)
    silence = np.full((80, FRAMES), np.log(1e-5), np.float32)
    assert np.sqrt(np.mean(fit_to_mel(noise, silence, 4) ** 2)) < 10 ** (-80 / 20)
    assert np.isfinite(fit_to_mel(np.zeros_like(noise), silence, 4)).all()


@pytest.mark.parametrize("post_filter", ["off", "mel_consistent"])
def test_the_bucket_does_not_change_the_audio(post_filter):
    audio, mel = rough(voice()), mel_of(voice())
    alone = run(audio, mel, post_filter=post_filter)
    rng = np.random.default_rng(2)
    longer = np.append(audio, rng.normal(size=40 * 256).astype(np.float32))
    padded = np.append(mel, rng.normal(size=(80, 40)).astype(np.float32), axis=1)
    np.testing.assert_array_equal(run(longer, padded, length=FRAMES, post_filter=post_filter), alone)


def test_loud_audio_is_turned_down_quiet_audio_up_and_silence_stays():
    loud, quiet, silence = (voice(amplitude=amplitude) for amplitude in (3, 0.1, 0.001))
    assert np.abs(bring_peak_between(loud, None, -1)).max() == pytest.approx(10 ** (-1 / 20), rel=1e-6)
    np.testing.assert_array_equal(bring_peak_between(quiet, None, -1), quiet)
    assert np.abs(bring_peak_between(quiet, -3, -1)).max() == pytest.approx(10 ** (-3 / 20), rel=1e-6)
    np.testing.assert_array_equal(bring_peak_between(silence, -3, -1), silence)


def test_the_denoiser_removes_a_steady_hum_and_keeps_the_voice():
    hum = 0.02 * np.sin(2 * np.pi * 1_000 * np.arange(FRAMES * 256) / 22_050).astype(np.float32)
    bias = np.abs(stft(hum))[:, FRAMES // 2]
    cleaned = denoise(voice() + hum, bias, strength=1.0)
    assert np.abs(cleaned - voice()).mean() < 0.5 * np.abs(hum).mean()
    np.testing.assert_allclose(denoise(voice(), np.ones(513, np.float32), strength=0.0), voice(), atol=1e-5)


def test_pieces_with_their_context_are_filtered_as_the_whole_is():
    audio, mel = rough(voice(90)), mel_of(voice(90))
    whole = run_piece(audio, mel, 0, 90)
    parts = []
    for begin, end in ((0, 30), (30, 60), (60, 90)):
        start, stop = max(begin - 20, 0), min(end + 20, 90)
        parts.append(run_piece(audio[start * 256 : stop * 256], mel[:, start:stop], begin - start, end - start))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)


def test_a_piece_fades_only_where_its_phrase_begins_and_ends():
    audio, mel = voice() + np.float32(0.1), mel_of(voice())
    first = run_piece(audio, mel, 10, 40, fades=(True, False), post_filter="off")
    last = run_piece(audio, mel, 20, 50, fades=(False, True), post_filter="off")
    assert first[0] == 0 == last[-1]
    assert np.array_equal(first[110:], audio[10 * 256 + 110 : 40 * 256])
    assert np.array_equal(last[:-110], audio[20 * 256 : 50 * 256 - 110])


def test_a_piece_has_its_gain_and_its_pause_and_stays_below_the_highest_peak():
    audio, mel = voice(amplitude=0.1), mel_of(voice(amplitude=0.1))
    plain = run_piece(audio, mel, 10, 50)
    louder = run_piece(audio, mel, 10, 50, gain=2.0, pause_seconds=0.25)
    np.testing.assert_allclose(louder[: len(plain)], 2 * plain, rtol=1e-6)
    assert len(louder) - len(plain) == round(0.25 * 22_050) and not louder[len(plain) :].any()
    assert np.abs(run_piece(audio, mel, 10, 50, gain=50.0)).max() == pytest.approx(10 ** (-1 / 20))


@pytest.mark.parametrize("frames", [0, 1, 4, FRAMES])
def test_every_valid_frame_becomes_256_samples_and_none_one_frame_of_silence(frames):
    audio = run(voice(), mel_of(voice()), length=frames)
    assert (audio.shape, audio.dtype) == ((max(frames, 1) * 256,), np.float32)
    assert audio.any() == bool(frames)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"audio": np.zeros(256, np.float32)}, "audio: expected at least 15360 samples, got 256"),
        ({"begin": -1}, "kept_frames: expected two rising numbers from 0 to 60"),
        ({"begin": 5, "end": 5}, "kept_frames: expected two rising numbers from 0 to 60"),
        ({"end": FRAMES + 1}, "kept_frames: expected two rising numbers from 0 to 60"),
        ({"pause_seconds": 21.0}, "pause_seconds: expected 0 to 20, got 21"),
        ({"pause_seconds": np.nan}, "pause_seconds: expected 0 to 20, got nan"),
        ({"post_filter": "magic"}, "post_filter: expected .*, got 'magic'"),
        ({"lowest_peak_dbfs": 0.0}, "lowest_peak_dbfs: expected -60 to -1, got 0.0"),
        ({"post_filter": "denoiser"}, "bias_file: expected the file that .*, got none"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    defaults = {"audio": voice(), "mel": mel_of(voice()), "begin": 0, "end": 10}
    with pytest.raises(InvalidArgument, match=message):
        run_piece(**defaults | arguments)
