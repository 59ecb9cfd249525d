import numpy as np
import pytest

from convai.client.segments import MAX_SEGMENT_SECONDS, Segmenter, cut_recording
from convai.errors import InvalidArgument

RATE = 16_000


def is_loud(window):
    """A detector that takes loudness for speech."""
    return min(1.0, 2 * float(np.abs(window).max()))


def speech(seconds, loudness=0.5):
    return np.full(int(seconds * RATE), loudness, np.float32)


def silence(seconds):
    return np.zeros(int(seconds * RATE), np.float32)


def cut(*sounds, block=8_000):
    audio = np.concatenate(sounds)
    blocks = [audio[start : start + block] for start in range(0, len(audio), block)]
    return [segment for segments in cut_recording(blocks, is_loud) for segment in segments]


def times(segments):
    return [round(time, 1) for segment in segments for time in (segment.start_seconds, segment.end_seconds)]


def test_a_recording_is_cut_at_its_pauses():
    segments = cut(silence(2), speech(3), silence(1), speech(1), silence(0.5), speech(1), silence(4))
    assert times(segments) == [2, 5, 6, 8.5]
    assert [np.count_nonzero(segment.audio) for segment in segments] == [3 * RATE, 2 * RATE]
    assert segments[0].audio_start_seconds == pytest.approx(1.6, abs=0.05)
    assert all(segment.has_speech for segment in segments)
    assert segments[0].speech_probability == pytest.approx(1, abs=0.01)


def test_segments_do_not_depend_on_the_size_of_the_blocks():
    sounds = silence(0.7), speech(30), silence(1), speech(0.6), silence(0.1)
    for one, other in zip(cut(*sounds), cut(*sounds, block=377), strict=True):
        np.testing.assert_array_equal(one.audio, other.audio)


def test_speech_without_a_pause_is_cut_where_it_is_softest_and_nothing_is_lost():
    segments = cut(speech(15), speech(0.4, 0.25), speech(20), speech(0.4, 0.2), speech(14))
    assert all(len(segment.audio) <= MAX_SEGMENT_SECONDS * RATE for segment in segments)
    assert times(segments) == pytest.approx([0, 15.2, 15.2, 35.6, 35.6, 49.8], abs=0.15)
    assert sum(np.count_nonzero(segment.audio) for segment in segments) == pytest.approx(49.8 * RATE, abs=1)


def test_a_murmur_after_the_place_of_a_cut_begins_no_segment():
    segments = cut(speech(24.3), silence(0.35), speech(0.4, 0.2), silence(2), speech(1))
    assert times(segments) == pytest.approx([0, 24.3, 27.05, 28.05], abs=0.1)
    assert all(segment.speech_probability > 0.9 for segment in segments)


def test_speech_at_the_very_end_is_kept():
    (segment,) = cut(silence(5), speech(1))
    assert times([segment]) == [5, 6]
    assert np.count_nonzero(segment.audio) == RATE


def test_a_short_recording_without_speech_is_one_segment_and_a_long_one_is_none():
    (segment,) = cut(speech(20, 0.1))
    assert (segment.start_seconds, segment.end_seconds, segment.has_speech) == (0, 20, False)
    np.testing.assert_array_equal(segment.audio, speech(20, 0.1))
    assert cut(speech(31, 0.1)) == []


def test_a_recording_shorter_than_a_question_may_be_is_refused():
    with pytest.raises(InvalidArgument, match="expected at least 0.1 s of audio, got 0.050 s"):
        cut(speech(0.05))
    assert len(cut(speech(0.1))) == 1


def test_memory_does_not_grow_with_the_length():
    segmenter = Segmenter(is_loud)
    for _ in range(100):
        segmenter.take(silence(1))
        assert len(segmenter._windows) < 30
    for _ in range(100):
        segmenter.take(speech(1))
        assert len(segmenter._windows) < 800


def test_a_long_silence_is_not_looked_at():
    looked_at = []
    segmenter = Segmenter(lambda window: looked_at.append(window) or 0.0)
    segmenter.take(silence(3600))
    assert len(looked_at) < 30
