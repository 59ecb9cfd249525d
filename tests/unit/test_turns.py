import numpy as np
import pytest

from convai.client.listen_events import NothingAsked, SpeechEnded, SpeechStarted
from convai.client.turns import Turns

RATE = 16_000


def is_loud(window):
    """A detector that takes every loud window for speech."""
    return 0.9 if np.abs(window).max() > 0.1 else 0.0


def speech(seconds):
    return np.full(int(seconds * RATE), 0.5, np.float32)


def silence(seconds):
    return np.zeros(int(seconds * RATE), np.float32)


def turns_in(*sounds, pause_seconds=0.5, chunk=320):
    """Every turn in sounds that come in chunks of the given number of samples."""
    turns = Turns(is_loud, pause_seconds)
    audio = np.concatenate(sounds)
    found = [turn for start in range(0, len(audio), chunk) for turn in turns.take(audio[start : start + chunk])]
    return [*found, *turns.end()]


def kinds(turns):
    return [type(turn) for turn in turns]


def test_a_pause_ends_a_question():
    turns = turns_in(silence(1), speech(1), silence(1), speech(0.5), silence(1))
    assert kinds(turns) == [SpeechStarted, SpeechEnded, SpeechStarted, SpeechEnded]


def test_a_silence_shorter_than_the_pause_belongs_to_the_question():
    _, ended = turns_in(silence(1), speech(1), silence(0.4), speech(0.5), silence(1))
    assert ended.end_seconds - ended.start_seconds == pytest.approx(0.3 + 1.9 + 0.2, abs=0.1)


def test_a_question_keeps_a_little_of_the_silence_around_it():
    started, ended = turns_in(silence(1), speech(1), silence(1))
    assert started.start_seconds == pytest.approx(1, abs=0.04)
    assert ended.start_seconds == pytest.approx(0.7, abs=0.05)
    assert ended.end_seconds == pytest.approx(2.2, abs=0.05)
    assert len(ended.question_audio) == pytest.approx((ended.end_seconds - ended.start_seconds) * RATE)
    assert np.count_nonzero(ended.question_audio) == RATE


def test_turns_do_not_depend_on_the_size_of_the_chunks():
    sounds = silence(0.7), speech(1), silence(1), speech(0.6), silence(0.1)
    for turn, other in zip(turns_in(*sounds, chunk=64_000), turns_in(*sounds, chunk=37), strict=True):
        assert type(turn) is type(other) and turn.start_seconds == other.start_seconds


@pytest.mark.parametrize("sounds", [[silence(0)], [silence(5)], [silence(1), speech(0.03), silence(1)]])
def test_silence_and_a_click_ask_nothing(sounds):
    assert turns_in(*sounds) == [NothingAsked("no speech")]


def test_without_a_pause_only_the_end_ends_a_question():
    turns = turns_in(speech(1), silence(3), speech(1), silence(3), pause_seconds=None)
    assert kinds(turns) == [SpeechStarted, SpeechEnded]
    assert np.count_nonzero(turns[1].question_audio) == 2 * RATE


def test_speech_that_goes_on_beyond_30_s_is_dropped_until_the_next_pause():
    turns = turns_in(speech(40), silence(1), speech(1), silence(1))
    assert kinds(turns) == [SpeechStarted, NothingAsked, SpeechStarted, SpeechEnded]
    assert turns[1].reason == "too long"
    assert np.count_nonzero(turns[3].question_audio) == RATE


def test_a_long_silence_takes_no_memory():
    turns = Turns(is_loud, 0.5)
    for _ in range(200):
        assert list(turns.take(silence(1))) == []
    assert len(turns.recording()) < RATE
