from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
from support.places import EXAMPLES

from convai.backends.steps import moonshine
from convai.backends.steps.moonshine import Moonshine
from convai.backends.steps.speech_features import SpeechFeatures
from convai.errors import InvalidArgument

installed = pytest.mark.skipif(find_spec("moonshine_voice") is None, reason="moonshine-voice is not installed")


class FakeNetwork:
    """Replaces the pretrained network: its text is the length of the audio, with a digit and punctuation."""

    def __init__(self, threads):
        self.threads = threads

    def __call__(self, audio):
        assert audio.dtype == np.float32
        return f"It's {round(len(audio) / 16_000)} seconds, isn't it?"


@pytest.fixture
def step(monkeypatch):
    monkeypatch.setattr(moonshine, "MoonshineNetwork", FakeNetwork)
    return Moonshine(threads=3)


def tone(seconds, sample_rate=16_000):
    return np.sin(np.arange(round(seconds * sample_rate)) * 0.1).astype(np.float32)


def transcribe(step, audio, sample_rate=16_000, context="Ada wrote it."):
    return step(question_audio=audio, sample_rate=np.array([sample_rate], np.int32), context=context)


def test_the_text_has_the_form_of_jaspers(step):
    result = transcribe(step, tone(2))
    assert result["question"] == result["transcript"] == "it's two seconds isn't it"
    assert step.network.threads == 3


def test_no_word_times_are_given(step):
    result = transcribe(step, tone(2))
    assert result["words"].shape == (0,) and result["word_times"].shape == (0, 2)


@pytest.mark.parametrize("sample_rate", [8_000, 44_100])
def test_audio_is_resampled_to_16_khz(step, sample_rate):
    assert transcribe(step, tone(3, sample_rate), sample_rate)["question"] == "it's three seconds isn't it"


def test_audio_is_validated_as_for_jasper(step):
    with pytest.raises(InvalidArgument, match="question_audio: expected 0.1 to 30 s .*, got 0.050 s"):
        transcribe(step, tone(0.05))
    assert step.counters == SpeechFeatures.counters


def test_a_context_above_the_limit_is_refused_before_transcription(step):
    with pytest.raises(InvalidArgument, match="context: expected at most 32768 bytes of UTF-8, got 32769"):
        transcribe(step, tone(1), context="x" * 32_769)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr(moonshine, "find_spec", lambda name: None)
    with pytest.raises(
        FileNotFoundError, match=r"package moonshine-voice.* is missing; install convai's extra 'moonshine'"
    ):
        Moonshine()


@pytest.fixture(scope="module")
def real_step():
    return Moonshine()


@installed
def test_the_pretrained_network_transcribes_the_example(real_step):
    audio, sample_rate = soundfile.read(EXAMPLES / "question.wav", dtype="float32")
    assert transcribe(real_step, audio, sample_rate)["question"] == "what is he often called"


@installed
def test_a_transcript_does_not_depend_on_earlier_audio(real_step):
    questions = [soundfile.read(EXAMPLES / f"{name}.flac", dtype="float32") for name in ("bees", "bread", "everest")]
    forwards = [transcribe(real_step, *question)["question"] for question in questions]
    assert all(forwards)
    assert [transcribe(real_step, *question)["question"] for question in reversed(questions)] == forwards[::-1]
