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
from training.waveglow.losses import LIKELIHOOD, SPECTRUM, compute_losses, log_mel, spectral_loss

TINY = replace(CONFIGS["mini"], n_flows=2, n_layers=2, n_channels=32)
QUICK = train.WaveGlowRecipe(
    size="tiny",
    clips=2,
    frames=16,
    bfloat16=False,
    likelihood_alone_steps=1,
    schedule=Schedule(steps=6, warm_up_steps=2, peak_rate=1e-3),
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(CONFIGS, "tiny", TINY)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with three tones and their manifest."""
    folder = tmp_path_factory.mktemp("tones")
    lines = []
    for number, hertz in enumerate((200, 330, 470)):
        tone = 0.3 * np.sin(2 * np.pi * hertz * np.arange(9_000 + 1_000 * number) / 22_050)
        soundfile.write(folder / f"{number}.flac", tone, 22_050)
        lines.append(json.dumps({"audio": f"{number}.flac"}))
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def recordings(folder):
    return Recordings.read(folder / "manifest.jsonl", folder / "cache")


@pytest.mark.parametrize(("likelihood_steps", "kind"), [(99, LIKELIHOOD), (0, SPECTRUM)])
def test_training_lowers_the_loss(recordings, likelihood_steps, kind):
    recipe = replace(QUICK, likelihood_alone_steps=likelihood_steps, likelihood_every=99)
    training = train.build_training(recipe, recordings)
    losses = [training.step()[kind] for _ in range(QUICK.schedule.steps)]
    assert min(losses[-3:]) < losses[0] - 0.02


@pytest.mark.parametrize("step", [0, 1])  # the likelihood alone, and the spectrum
def test_the_losses_run_on_the_device_of_the_network(recordings, assert_losses_leave_the_cpu, step):
    assert_losses_leave_the_cpu(train.build_training(QUICK, recordings), step)


def test_a_resumed_run_continues_exactly_as_an_uninterrupted_one(recordings, assert_resumes):
    assert_resumes(lambda: train.build_training(QUICK, recordings), steps=1)


def test_the_averaged_network_turns_audio_into_noise_and_back(recordings):
    training = train.build_training(QUICK, recordings)
    training.step()
    network = training.averaged()
    audio, mel = recordings.batch(1, 16, np.random.default_rng(0))
    with torch.no_grad():
        z, _ = network.encode(audio, mel)
        torch.testing.assert_close(network(mel, z / network.config.sigma), audio, atol=1e-3, rtol=0)


def test_a_crop_has_the_crop_of_the_mel_and_silence_after_a_short_clip(recordings):
    clip = recordings.samples[: recordings.ends[0]].astype(np.float32) / 32_768
    whole = mel_spectrogram(clip)
    one_clip = Recordings(recordings.samples, recordings.ends[:1])
    begins = range(len(clip) // 256 - 15)
    for seed in range(5):
        audio, mel = one_clip.crop(16, np.random.default_rng(seed))
        same = [begin for begin in begins if np.allclose(clip[begin * 256 :][: 16 * 256], audio)]
        assert any(np.allclose(whole[:, begin : begin + 16], mel, atol=1e-3) for begin in same)
    audio, mel = recordings.crop(64, np.random.default_rng(0))  # longer than any clip
    assert audio.shape == (64 * 256,) and mel.shape == (80, 64)
    assert not audio[-2_000:].any()


def test_the_mel_of_the_loss_is_the_mel_of_serving(recordings):
    audio, _ = recordings.batch(2, 16, np.random.default_rng(0))
    expected = np.stack([mel_spectrogram(row) for row in audio.numpy()])
    np.testing.assert_allclose(log_mel(audio).numpy(), expected, atol=0.01)


def test_the_spectral_loss_is_zero_for_the_same_audio_and_for_its_negative(recordings):
    audio, _ = recordings.batch(2, 16, np.random.default_rng(0))
    assert spectral_loss(audio, audio) == 0
    assert spectral_loss(-audio, audio) == 0
    assert spectral_loss(0.5 * audio, audio) > 0.5


def test_audio_of_the_network_is_likelier_than_louder_audio():
    torch.manual_seed(0)
    network = WaveGlow(TINY).train()
    mel = torch.zeros(1, 80, 8)
    own = network(mel, torch.randn(1, 64, 32) / TINY.sigma).detach()
    losses = [compute_losses(network, audio, mel, (LIKELIHOOD,))["loss"] for audio in (own, 3 * own)]
    assert losses[0] < losses[1]


def test_the_likelihood_comes_first_and_then_in_some_steps():
    recipe = replace(QUICK, likelihood_alone_steps=10, likelihood_every=2)
    assert [recipe.kinds_at(step) for step in (9, 10, 11)] == [(LIKELIHOOD,), (LIKELIHOOD, SPECTRUM), (SPECTRUM,)]


def test_the_program_writes_weights_that_export_can_load(folder, tmp_path, monkeypatch, run_twice):
    monkeypatch.setattr(train, "DEV_CLIPS", 1)
    monkeypatch.setattr(train, "WaveGlowRecipe", lambda: QUICK)
    run_twice(train.main, tmp_path / "out", "--manifest", folder / "manifest.jsonl")
    build(NETWORKS["waveglow"], read_weights(NETWORKS["waveglow"], tmp_path / "out" / "waveglow.safetensors"), seed=0)
