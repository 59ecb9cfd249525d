import pytest

from benchmarks.speed.talk import caption_age_seconds
from convai.client.turns import TAIL_SECONDS


def samples(at_seconds):
    return {"type": "samples", "at_seconds": at_seconds, "count": 1600}


def test_the_age_of_captions_is_counted_from_the_last_listening():
    timeline = [
        {"type": "start", "at_seconds": 0.0, "sample_rate": 16_000},
        *(samples(at_seconds / 10) for at_seconds in range(1, 5)),
        {"type": "start", "at_seconds": 0.5, "sample_rate": 16_000},
        *(samples(0.5 + at_seconds / 10) for at_seconds in range(1, 21)),
        {"type": "speech_started", "at_seconds": 0.8, "start_seconds": 0.2},
        {"type": "caption", "at_seconds": 1.1, "heard_until_seconds": 0.5},
        {"type": "caption", "at_seconds": 1.5, "heard_until_seconds": 0.9},
        {"type": "speech_ended", "at_seconds": 2.4, "end_seconds": 1.2 + TAIL_SECONDS},
    ]
    # Heard until 0.5 s, which was sent at 1.0 s, until 1.5 s.
    assert caption_age_seconds(timeline) == pytest.approx(0.5)
