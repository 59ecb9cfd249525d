import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from convai.audio.voice_mel import mel_spectrogram
from convai.networks.checkpoints.weights import build, read_weights
from convai.networks.registry import NETWORKS
from convai.networks.waveglow.model import CONFIGS, WaveGlow
from training.common.training import Schedule
from training.waveglow import train
from training.waveglow.data import Recordings
from training.waveglow.losses import LossWeights, batch_losses, log_mel, spectral_loss

QUICK = train.Recipe(
    clips=2,
    frames=16,
    bfloat16=False,
    likelihood_alone_steps=1,
    schedule=Schedule(steps=8, warm_up_steps=2, peak_rate=1e-3),
)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tones")
    write_tones(folder)
    return Recordings.read(folder / "manifest.jsonl", folder / "cache")


def write_tones(folder):
    lines = []
    for number, hertz in enumerate((200, 330, 470)):
        tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(9_000 + 1_000 * number) / 22_050)
        soundfile.write(folder / f"{number}.flac", tone, 22_050)
        lines.append(json.dumps({"audio": f"{number}.flac"}))
    (folder / "manifest.jsonl").write_text("\n".join(lines))


@pytest.mark.parametrize("weights", [LossWeights(1, 0, 0), LossWeights(0, 1, 1)], ids=["likelihood", "spectrum"])
def test_training_lowers_the_loss(recordings, weights):
    training = train.training_of(replace(QUICK, weights=weights), recordings)
    losses = [training.step()["loss"] for _ in range(QUICK.schedule.steps)]
    assert min(losses[-3:]) < losses[0] - 0.02


def test_a_resumed_run_goes_on_exactly_as_an_uninterrupted_one(recordings, tmp_path):
    training = train.training_of(QUICK, recordings)
    training.step()
    training.save(tmp_path / "state.pt")
    uninterrupted = [training.step() for _ in range(2)]
    resumed = train.training_of(QUICK, recordings)
    resumed.resume(tmp_path / "state.pt")
    assert [resumed.step() for _ in range(2)] == uninterrupted


def test_the_averaged_network_turns_audio_into_noise_and_back(recordings):
    training = train.training_of(replace(QUICK, weights=LossWeights(1, 0, 0)), recordings)
    for _ in range(2):
        training.step()
    network = training.averaged()
    audio, mel = recordings.batch(1, 16, np.random.default_rng(0))
    with torch.no_grad():
        z, _ = network.encode(audio, mel)
        torch.testing.assert_close(network(mel, z / network.config.sigma), audio, atol=1e-3, rtol=0)


def test_the_mel_of_a_crop_is_the_crop_of_the_mel(recordings):
    clip = recordings.samples[: recordings.ends[0]].astype(np.float32) / 32_768
    whole = mel_spectrogram(clip)
    one_clip = Recordings(recordings.samples, recordings.ends[:1])
    begins = range(len(clip) // 256 - 15)
    for seed in range(5):
        audio, mel = one_clip.crop(16, np.random.default_rng(seed))
        same = [begin for begin in begins if np.allclose(clip[begin * 256 :][: 16 * 256], audio)]
        assert any(np.allclose(whole[:, begin : begin + 16], mel, atol=1e-3) for begin in same)


def test_a_clip_shorter_than_a_crop_is_followed_by_silence(recordings):
    audio, mel = recordings.crop(64, np.random.default_rng(0))
    assert audio.shape == (64 * 256,)
    assert mel.shape == (80, 64)
    assert not audio[-2_000:].any()


def test_the_mel_of_the_loss_is_the_mel_of_serving(recordings):
    audio, _ = recordings.batch(2, 16, np.random.default_rng(0))
    expected = np.stack([mel_spectrogram(row) for row in audio.numpy()])
    np.testing.assert_allclose(log_mel(audio).numpy(), expected, atol=0.01)


def test_the_spectral_loss_is_zero_for_the_same_audio_and_blind_to_its_sign(recordings):
    audio, _ = recordings.batch(2, 16, np.random.default_rng(0))
    assert spectral_loss(audio, audio) == 0
    assert spectral_loss(-audio, audio) == 0
    assert spectral_loss(0.5 * audio, audio) > 0.5


def test_the_likelihood_knows_its_own_audio():
    """Audio that the network makes from standard normal noise costs less than other noise does."""
    torch.manual_seed(0)
    network = WaveGlow(CONFIGS["mini"]).train()
    mel = torch.zeros(1, 80, 8)
    made = network(mel, torch.randn(1, 64, 32) / CONFIGS["mini"].sigma).detach()
    own, louder = (batch_losses(network, audio, mel, LossWeights(1, 0, 0))["loss"] for audio in (made, 3 * made))
    assert own < louder


def test_the_likelihood_comes_first_and_then_counts_in_some_steps():
    recipe = replace(QUICK, weights=LossWeights(1, 2, 3), likelihood_alone_steps=10, likelihood_every=2)
    assert recipe.weights_at(9) == LossWeights(1, 0, 0)
    assert recipe.weights_at(10) == LossWeights(1, 2, 3)
    assert recipe.weights_at(11) == LossWeights(0, 2, 3)


def test_the_program_writes_weights_that_export_can_load(tmp_path, monkeypatch):
    write_tones(tmp_path)
    monkeypatch.setattr(train, "MEASURED_CLIPS", 1)
    options = ["--manifest", str(tmp_path / "manifest.jsonl"), "--out", str(tmp_path / "out")]
    assert train.main([*options, "--steps", "1"]) == 0
    assert train.main([*options, "--steps", "2", "--resume"]) == 0
    log = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == [1, 2]
    build(NETWORKS["waveglow"], read_weights(NETWORKS["waveglow"], tmp_path / "out" / "waveglow.safetensors"), seed=0)


def test_weights_of_losses_are_not_negative():
    with pytest.raises(ValueError, match="mel must not be negative, got -1"):
        LossWeights(mel=-1)
