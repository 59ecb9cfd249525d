import numpy as np
import pytest

from convai.backends.steps.audio_trimmer import AudioTrimmer
from convai.backends.steps.phrase_audio import (
    FRAMES_AFTER,
    FRAMES_BEFORE,
    between_silences,
    bring_level_to,
    fade_ends,
    speech_level,
)
from convai.pipeline.description import NUM_MELS, VOICE_HOP_LENGTH, VOICE_SAMPLE_RATE_HERTZ
from convai.pipeline.mistakes import CallerMistake


def tone(num_frames, amplitude=0.1):
    seconds = np.arange(num_frames * VOICE_HOP_LENGTH) / VOICE_SAMPLE_RATE_HERTZ
    return (amplitude * np.sin(2 * np.pi * 200 * seconds)).astype(np.float32)


def silence(num_frames):
    return np.zeros(num_frames * VOICE_HOP_LENGTH, np.float32)


def as_phrase(audio, pause_seconds=0.0):
    num_frames = len(audio) // VOICE_HOP_LENGTH
    made = AudioTrimmer(post_filter="off", phrase_level_dbfs=-20.0)(
        audio=audio,
        padded_mel=np.zeros((NUM_MELS, num_frames), np.float32),
        mel_length=np.array([num_frames], np.int32),
        pause_seconds=np.array([pause_seconds], np.float32),
    )
    return made["answer_audio"]


def test_silence_at_both_ends_is_cut_to_a_margin():
    audio = np.concatenate([silence(20), tone(30), silence(10), tone(30), silence(40)])
    assert len(between_silences(audio)) == (30 + 10 + 30 + FRAMES_BEFORE + FRAMES_AFTER) * VOICE_HOP_LENGTH


def test_a_soft_consonant_at_the_end_is_no_silence():
    audio = np.concatenate([tone(30), tone(5, amplitude=0.002), silence(40)])
    assert len(between_silences(audio)) == (30 + 5 + FRAMES_AFTER) * VOICE_HOP_LENGTH


@pytest.mark.parametrize("audio", [silence(5), np.zeros(0, np.float32), tone(5, amplitude=1e-4)])
def test_what_is_silent_throughout_stays_as_it_is(audio):
    assert np.array_equal(between_silences(audio), audio)
    assert np.array_equal(bring_level_to(audio, -20.0, -1.0), audio)


def test_phrases_of_any_loudness_get_the_same_level_whatever_their_pauses():
    for audio in (tone(30, 0.02), tone(30, 0.8), np.concatenate([tone(30, 0.1), silence(60), tone(30, 0.1)])):
        assert 20 * np.log10(speech_level(bring_level_to(audio, -20.0, -1.0))) == pytest.approx(-20, abs=0.1)


def test_a_high_peak_keeps_the_level_down():
    audio = tone(30, 0.05)
    audio[1000] = 0.9
    assert np.abs(bring_level_to(audio, -10.0, -1.0)).max() == pytest.approx(10 ** (-1 / 20))


def test_a_join_makes_no_step_above_those_of_the_sound_itself():
    phrases = [as_phrase(tone(frames, amplitude)) for frames, amplitude in ((30, 0.1), (7, 0.4), (30, 0.01))]
    steps = np.abs(np.diff(np.concatenate(phrases)))
    for join in np.cumsum([len(phrase) for phrase in phrases])[:-1]:
        assert steps[join - 3 : join + 2].max() < 0.02 * steps.max()


def test_a_fade_begins_and_ends_at_zero_and_leaves_the_middle():
    audio = tone(30)
    faded = fade_ends(audio, 110)
    assert faded[0] == 0 == faded[-1]
    assert np.array_equal(faded[110:-110], audio[110:-110])
    assert len(fade_ends(audio[:1], 110)) == 1


def test_the_pause_that_is_wanted_follows_the_sound():
    without, with_pause = as_phrase(tone(30)), as_phrase(tone(30), pause_seconds=0.25)
    assert len(with_pause) - len(without) == round(0.25 * VOICE_SAMPLE_RATE_HERTZ)
    assert not with_pause[len(without) :].any()


@pytest.mark.parametrize("seconds", [-0.1, 6.0, np.nan])
def test_a_pause_out_of_reason_is_refused(seconds):
    with pytest.raises(CallerMistake, match="pause_seconds.*0 to 5"):
        as_phrase(tone(30), seconds)
