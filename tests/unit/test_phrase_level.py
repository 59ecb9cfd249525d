import numpy as np
import pytest

from convai.audio.voice_mel import SILENT_LOG_MEL, mel_spectrogram
from convai.backends.steps.phrase_level import FRAMES_AFTER, FRAMES_BEFORE, frame_levels, gain_to, spoken_frames
from convai.description.pipeline import NUM_MELS, VOICE_HOP_LENGTH


def noise(num_frames, amplitude=0.1):
    rng = np.random.default_rng(0)
    return (amplitude * rng.standard_normal(num_frames * VOICE_HOP_LENGTH)).astype(np.float32)


def silence(num_frames):
    return np.zeros(num_frames * VOICE_HOP_LENGTH, np.float32)


def mel_of(*parts):
    return mel_spectrogram(np.concatenate(parts))


def levels_of(*parts):
    return frame_levels(mel_of(*parts))


def test_levels_are_read_off_a_mel_to_three_decibels():
    # Of noise; what is added for the harmonics of a voice, which noise lacks, is included.
    audio = noise(40)
    levels = 20 * np.log10(frame_levels(mel_spectrogram(audio))[5:-5] / audio.std())
    assert np.abs(levels).max() < 3


def test_twice_the_amplitude_is_six_decibels():
    soft, loud = mel_of(noise(20)), mel_of(noise(20, 0.2))
    np.testing.assert_allclose(frame_levels(loud) / frame_levels(soft), 2, rtol=1e-3)


def test_silence_at_both_ends_is_cut_to_a_margin():
    mel = mel_of(silence(30), noise(30), silence(10), noise(30), silence(40))
    heard = 30 + 10 + 30 + FRAMES_BEFORE + FRAMES_AFTER
    begin, end = spoken_frames(frame_levels(mel))
    assert begin == pytest.approx(30 - FRAMES_BEFORE, abs=2)  # a window reaches two frames further
    assert heard <= end - begin <= heard + 4


def test_a_soft_consonant_at_the_end_is_no_silence():
    with_it, without = (mel_of(noise(30), end, silence(40)) for end in (noise(8, 0.002), silence(8)))
    assert spoken_frames(frame_levels(with_it))[1] == pytest.approx(spoken_frames(frame_levels(without))[1] + 8, abs=2)


@pytest.mark.parametrize("level", [SILENT_LOG_MEL, SILENT_LOG_MEL + 1])
def test_what_is_silent_throughout_stays_as_it_is(level):
    mel = np.full((NUM_MELS, 5), level, np.float32)
    assert spoken_frames(frame_levels(mel)) == (0, 5)
    assert gain_to(-20.0, frame_levels(mel)) == 1


def test_phrases_of_any_loudness_get_the_same_level_whatever_their_pauses():
    one, *others = (
        (noise(40, 0.02),),
        (noise(40, 0.8),),
        (noise(20, 0.1), silence(60), noise(20, 0.1)),
    )
    levels = [20 * np.log10(gain_to(-20.0, levels_of(*parts)) * parts[0].std()) for parts in (one, *others)]
    assert np.ptp(levels) < 1
    assert gain_to(-10.0, levels_of(*one)) == pytest.approx(10 ** (10 / 20) * gain_to(-20.0, levels_of(*one)))
