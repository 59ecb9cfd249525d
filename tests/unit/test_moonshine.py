from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from support.places import EXAMPLES

from convai.backends.steps import moonshine_network
from convai.backends.steps.moonshine import Moonshine
from convai.backends.steps.moonshine_network import END, START, MoonshineNetwork, read_tokens, text_of
from convai.backends.steps.speech_features import SpeechFeatures
from convai.errors import InvalidArgument
from convai.generator.targets import CPU

installed = pytest.mark.skipif(find_spec("moonshine_voice") is None, reason="moonshine-voice is not installed")


class FakeNetwork:
    """Stands in for the pretrained network: says how long the audio is, as it would write numbers and marks."""

    def __init__(self, threads):
        self.threads = threads

    def __call__(self, audio):
        assert audio.dtype == np.float32
        return f"It's {round(len(audio) / 16_000)} seconds, isn't it?"


@pytest.fixture
def step(monkeypatch):
    monkeypatch.setattr("convai.backends.steps.moonshine.MoonshineNetwork", FakeNetwork)
    return Moonshine(threads=3)


def tone(seconds, sample_rate=16_000):
    return np.sin(np.arange(round(seconds * sample_rate)) * 0.1).astype(np.float32)


def hear(step, audio, sample_rate=16_000):
    return step(question_audio=audio, sample_rate=np.array([sample_rate], np.int32))


def test_the_text_is_written_as_jasper_writes_it(step):
    heard = hear(step, tone(2))
    assert heard == {"question": "it's two seconds isn't it", "transcript": "it's two seconds isn't it"}
    assert step.network.threads == 3


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 48_000])
def test_the_network_hears_16_khz_whatever_was_sent(step, sample_rate):
    assert hear(step, tone(3, sample_rate), sample_rate)["question"] == "it's three seconds isn't it"


@pytest.mark.parametrize("amplitude", [0.0, 10 ** (-61 / 20)])
def test_silence_says_nothing(step, amplitude):
    assert hear(step, np.full(16_000, amplitude, np.float32)) == {"question": "", "transcript": ""}


@pytest.mark.parametrize(
    ("audio", "sample_rate"),
    [
        (tone(0.05), 16_000),
        (tone(31), 16_000),
        (tone(1), 7_999),
        (tone(1) * 2, 16_000),
        (np.full(16_000, np.nan, np.float32), 16_000),
        (np.full(16_000, np.inf, np.float32), 16_000),
        (tone(1)[:, None], 16_000),
    ],
)
def test_what_one_recogniser_refuses_the_other_refuses_with_the_same_words(step, audio, sample_rate):
    messages = []
    for other in (step, SpeechFeatures(**CPU.buckets.parameters_of("speech_features"))):
        with pytest.raises(InvalidArgument) as refusal:
            hear(other, audio, sample_rate)
        messages.append(str(refusal.value))
    assert messages[0] == messages[1]


def test_both_recognisers_count_the_seconds_they_hear(step):
    assert [counter.name for counter in step.counters] == [counter.name for counter in SpeechFeatures.counters]


def test_the_text_that_a_question_is_about_is_taken_and_may_be_anything(step):
    heard = step(question_audio=tone(1), sample_rate=np.array([16_000]), context="Ada wrote it.")
    assert heard["question"] == "it's one seconds isn't it"
    assert "context" in step.hints


def test_without_a_thread_it_cannot_hear():
    with pytest.raises(ValueError, match="threads: got 0; allowed is at least 1"):
        Moonshine(threads=0)


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setattr(moonshine_network, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"no package moonshine-voice.*install convai\[moonshine\]"):
        Moonshine()


def test_a_package_without_the_network_says_what_is_missing(monkeypatch, tmp_path):
    origin = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(moonshine_network, "find_spec", lambda name: origin)
    with pytest.raises(FileNotFoundError, match="lacks encoder_model.ort, decoder_model_merged.ort, tokenizer.bin"):
        Moonshine()


def test_a_token_may_be_longer_than_127_bytes():
    long = b"x" * 300
    assert read_tokens(b"\x02ab\x00" + bytes([300 % 128 + 128, 300 // 128]) + long + b"\x01c") == [
        b"ab",
        b"",
        long,
        b"c",
    ]


def test_tokens_join_into_words_and_bytes_into_letters():
    tokens = ["▁who".encode(), "▁i".encode(), b"s", "▁".encode(), b"\xc3", b"\xa9"]
    assert text_of([0, 1, 2, 3, 3, 4, 5], tokens) == "who is é"


class FakeDecoder:
    """Says the tokens it is given one after another; keeps what it was run with."""

    def __init__(self, says):
        self.says, self.runs = says, []

    def run(self, names, inputs):
        assert names is None
        self.runs.append(inputs)
        logits = np.zeros((1, 1, 10), np.float32)
        logits[0, 0, self.says[len(self.runs) - 1]] = 1
        return [logits, *(np.full((1, 1, len(self.runs), 1), len(self.runs)) for _ in range(2))]


def decoded(says, most_tokens=10):
    network = object.__new__(MoonshineNetwork)
    network.decoder = FakeDecoder(says)
    network.empty_cache = dict.fromkeys(
        ("past_key_values.0.decoder.key", "past_key_values.0.encoder.key"), np.zeros((1, 1, 0, 1))
    )
    return network.decode({}, most_tokens), network.decoder.runs


def test_decoding_goes_on_from_each_token_until_the_end():
    made, runs = decoded([7, 8, END, 9])
    assert made == [7, 8]
    assert [run["input_ids"].tolist() for run in runs] == [[[START]], [[7]], [[8]]]
    assert [run["use_cache_branch"].item() for run in runs] == [False, True, True]


def test_what_was_heard_is_remembered_from_the_first_token_and_what_was_said_from_the_last():
    *_, last = decoded([7, 8, END])[1]
    assert last["past_key_values.0.encoder.key"].max() == 1
    assert last["past_key_values.0.decoder.key"].max() == 2


def test_a_decoder_that_finds_no_end_is_stopped():
    assert decoded([7] * 5, most_tokens=4)[0] == [7] * 4


@pytest.fixture(scope="module")
def real_step():
    return Moonshine()


@installed
def test_the_pretrained_network_hears_the_examples(real_step):
    audio, sample_rate = soundfile.read(EXAMPLES / "question.wav", dtype="float32")
    assert hear(real_step, audio, sample_rate)["question"] == "what is he often called"


@installed
def test_what_is_heard_does_not_depend_on_what_was_heard_before(real_step):
    questions = [soundfile.read(EXAMPLES / f"{name}.flac", dtype="float32") for name in ("bees", "bread", "everest")]
    forwards = [hear(real_step, *question)["question"] for question in questions]
    assert all(forwards)
    assert [hear(real_step, *question)["question"] for question in reversed(questions)] == forwards[::-1]


@installed
def test_the_shortest_and_the_longest_audio_are_heard(real_step):
    for seconds in (0.1, 30):
        assert isinstance(hear(real_step, tone(seconds))["question"], str)
