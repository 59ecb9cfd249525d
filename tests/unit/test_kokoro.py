import numpy as np
import pytest

from training.voices import kokoro
from training.voices.kokoro import Speaker, random_speaker, speak_ids

NAMES = ("af_one", "am_two", "bf_three", "hf_four", "zm_five")


@pytest.fixture(autouse=True)
def voices(tmp_path, monkeypatch):
    """A folder of voices whose every style holds the number of the voice."""
    for number, name in enumerate(NAMES):
        np.full((5, 256), number, np.float32).tofile(tmp_path / f"{name}.bin")
    monkeypatch.setenv(kokoro.VOICES_FOLDER, str(tmp_path))
    kokoro._voices.cache_clear()
    kokoro._style.cache_clear()
    return tmp_path


class Network:
    """Stands for the network: keeps what it is given."""

    def run(self, outputs, inputs):
        self.inputs = inputs
        return [np.zeros((1, 10), np.float32)]


@pytest.fixture
def network(monkeypatch):
    network = Network()
    monkeypatch.setattr(kokoro, "_session", lambda: network)
    return network


def test_the_same_seed_is_the_same_speaker_and_another_seed_another():
    assert random_speaker(np.random.default_rng(0)) == random_speaker(np.random.default_rng(0))
    assert random_speaker(np.random.default_rng(0)) != random_speaker(np.random.default_rng(1))


def test_most_speakers_are_blends_and_only_those_with_a_foreign_voice_have_an_accent():
    crowd = [random_speaker(np.random.default_rng(seed)) for seed in range(300)]
    assert 200 < sum(one.share > 0 for one in crowd) < 280
    assert {one.accent for one in crowd} == {None, "indian", "mandarin"}
    for one in crowd:
        if one.accent:
            assert {one.first[0], one.second[0]} & {"h", "z"}


def test_a_blend_lies_between_its_two_voices(network):
    audio = speak_ids(Speaker("am_two", "zm_five", 0.25, 1.1, None, 0.0), [0, 50, 60, 0])
    assert audio.shape == (10,)
    assert network.inputs["style"].shape == (1, 256)
    assert network.inputs["style"] == pytest.approx(0.75 * 1 + 0.25 * 4)
    assert network.inputs["speed"] == pytest.approx([1.1])
    assert network.inputs["tokens"].tolist() == [[0, 50, 60, 0]]


def test_a_text_longer_than_any_style_takes_the_last(network):
    speak_ids(Speaker("af_one", "am_two", 0.0, 1.0, None, 0.0), [0] * 40)
    assert network.inputs["style"] == pytest.approx(0)


def test_a_missing_folder_of_voices_is_named(monkeypatch):
    monkeypatch.setenv(kokoro.VOICES_FOLDER, "/nowhere")
    with pytest.raises(ValueError, match="KOKORO_VOICES must name the folder .* of npm's kokoro-js, got '/nowhere'"):
        random_speaker(np.random.default_rng(0))
