import argparse
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import nn

from convai.networks.jasper.config import CONFIGS, BlockConfig, JasperConfig, residual_blocks
from convai.networks.jasper.model import Jasper
from training.common.training import Schedule, Training
from training.jasper import train
from training.jasper.augment import AugmentConfig, augment
from training.jasper.data import Clip, is_held_out, read_clips
from training.jasper.grow import grow
from training.jasper.optimizer import Float32Muon
from training.jasper.recipe import Recipe
from training.jasper.training import pad, training_of

TINY = JasperConfig(blocks=(BlockConfig(32, 5, stride=2), *residual_blocks(2, (48, 5)), BlockConfig(64, 1)))
QUICK = Recipe(
    batch_seconds=8.0,
    first_steps=2,
    bfloat16=False,
    schedule=Schedule(steps=50, warm_up_steps=5, peak_rate=1e-2, weight_decay=1e-2),
)
NO_CHANGE = AugmentConfig(
    tempo=(1.0, 1.0),
    vocal_tract=(1.0, 1.0),
    room_share=0,
    margin_share=0,
    noise_share=0,
    babble_share=0,
    click_share=0,
    hum_share=0,
    narrow_share=0,
    frequency_masks=0,
    time_masks_per_second=0,
)


def whistle(text: str, frames_per_letter: int = 12) -> Clip:
    """A made-up language: every letter is a band of its own, parted from the next by a pause."""
    log_mel = np.full((frames_per_letter * len(text), 64), -12.0, np.float16)
    for index, letter in enumerate(text):
        band = 2 * (ord(letter) - ord("a") + 1) if letter != " " else 0
        log_mel[index * frames_per_letter : (index + 1) * frames_per_letter - 4, band : band + 4] = 0.0
    return Clip(log_mel, text, speaker="whistler")


@pytest.fixture(scope="module")
def clips():
    return [whistle(text) for text in ("a cab", "bead", "fade", "gag", "ace", "dice bag", "hide", "jig")]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    return replace(QUICK, size="tiny")


def test_training_lowers_the_loss_on_speech_it_hears_again(quick, clips):
    training = training_of(quick, clips, NO_CHANGE)
    losses = [training.step()["loss"] for _ in range(quick.schedule.steps)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_a_resumed_run_goes_on_exactly_as_an_uninterrupted_one(quick, clips, tmp_path):
    training = training_of(quick, clips, AugmentConfig())
    for _ in range(3):
        training.step()
    training.save(tmp_path / "state.pt")
    uninterrupted = [training.step() for _ in range(3)]
    resumed = training_of(quick, clips, AugmentConfig())
    resumed.resume(tmp_path / "state.pt")
    assert [resumed.step() for _ in range(3)] == uninterrupted


def test_exported_weights_alone_can_start_a_run(quick, clips, tmp_path):
    training = training_of(quick, clips, NO_CHANGE)
    training.step()
    training.export(tmp_path / "jasper.safetensors", "tiny")
    started = training_of(quick, clips, NO_CHANGE)
    started.start_from(tmp_path / "jasper.safetensors")
    for name, tensor in load_file(tmp_path / "jasper.safetensors").items():
        torch.testing.assert_close(started.network.state_dict()[name].float(), tensor.float())
    assert started.steps_done == quick.first_steps


def test_the_rate_rises_stays_level_and_ends_at_zero():
    schedule = Schedule(steps=100, warm_up_steps=10, decay_share=0.25, peak_rate=1.0)
    assert schedule.rate(0) == pytest.approx(0.1)
    assert schedule.rate(10) == schedule.rate(75) == 1.0
    assert schedule.rate(87) == pytest.approx(0.53, abs=0.01)
    assert schedule.rate(100) == pytest.approx(0.0)


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match="size must be one of mini, small"):
        replace(QUICK, size="huge")


def test_copies_of_real_recordings_are_heard_at_different_speeds_around_their_own():
    assert train.speeds(1) == [1.01]
    assert train.speeds(3) == [0.91, 1.01, 1.11]


def test_a_manifest_says_how_often_it_is_heard():
    assert train.manifest_and_copies("a/b.jsonl") == (Path("a/b.jsonl"), 1)
    assert train.manifest_and_copies("a/b.jsonl:4") == (Path("a/b.jsonl"), 4)
    for wrong in ("a/b.jsonl:0", "a/b.jsonl:many", "a/b.jsonl:"):
        with pytest.raises(argparse.ArgumentTypeError, match="at least 1"):
            train.manifest_and_copies(wrong)


def test_a_grown_network_begins_by_answering_as_the_smaller_one(clips):
    torch.manual_seed(0)
    deeper = replace(TINY, blocks=(*TINY.blocks[:2], *residual_blocks(2, (48, 5), (48, 5)), TINY.blocks[2]))
    smaller, larger = Jasper(TINY).eval(), Jasper(deeper).eval()
    features, length = pad([augment(clip.log_mel, NO_CHANGE, np.random.default_rng(0)) for clip in clips])
    grow(smaller, larger, features, length)
    with torch.no_grad():
        torch.testing.assert_close(larger(features, length), smaller(features, length), atol=1e-4, rtol=0)
    assert sum(p.numel() for p in larger.parameters()) > 1.5 * sum(p.numel() for p in smaller.parameters())


def test_a_network_cannot_be_grown_into_one_of_other_filters():
    with pytest.raises(ValueError, match="all blocks of the smaller network"):
        grow(Jasper(TINY), Jasper(CONFIGS["small"]), torch.zeros(1, 64, 32), torch.tensor([[32]]))


def test_about_a_tenth_of_the_speakers_is_held_out():
    assert 70 < sum(is_held_out(f"speaker{index}") for index in range(1000)) < 130


def save_speech(folder, text="go on"):
    """A second of a tone as audio with its manifest."""
    folder.mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
    soundfile.write(folder / "tone.flac", tone, 22_050)
    line = {"audio": "tone.flac", "text": text, "speaker": "tuner", "seconds": 1.0, "sample_rate": 22_050}
    (folder / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    return folder / "manifest.jsonl"


def test_recordings_are_read_as_log_mels_and_a_faster_scale_shortens_them(tmp_path):
    manifest = save_speech(tmp_path / "speech")
    (clip,) = read_clips(manifest, tmp_path / "cache")
    (faster,) = read_clips(manifest, tmp_path / "cache", scale=1.25)
    assert clip.log_mel.shape == (100, 64)
    assert faster.log_mel.shape == (80, 64)
    assert faster.log_mel.mean(axis=0).argmax() > clip.log_mel.mean(axis=0).argmax()


def test_a_cached_recording_needs_no_audio_any_more(tmp_path):
    manifest = save_speech(tmp_path / "speech")
    (clip,) = read_clips(manifest, tmp_path / "cache")
    (manifest.parent / "tone.flac").unlink()
    (cached,) = read_clips(manifest, tmp_path / "cache")
    assert np.array_equal(clip.log_mel, cached.log_mel)


def test_a_transcript_with_letters_outside_the_alphabet_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds \['7'\]"):
        read_clips(save_speech(tmp_path / "speech", text="7 up"), tmp_path / "cache")


def test_the_program_leaves_log_state_and_weights_and_can_go_on(tmp_path):
    manifest = str(save_speech(tmp_path / "speech"))
    arguments = ["--manifest", manifest, "--dev", manifest, "--out", str(tmp_path / "run")]
    assert train.main([*arguments, "--steps", "1"]) == 0
    assert train.main([*arguments, "--steps", "2", "--resume"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2]
    assert "speech" in lines[-1]["measured"]
    assert (tmp_path / "run" / "jasper.safetensors").exists()


def test_a_run_that_is_told_to_stop_saves_what_it_learnt(tmp_path, monkeypatch):
    manifest = str(save_speech(tmp_path / "speech"))
    learn = Training.step

    def step_and_signal(training):
        losses = learn(training)
        if training.steps_done == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return losses

    monkeypatch.setattr(Training, "step", step_and_signal)
    arguments = ["--manifest", manifest, "--dev", manifest, "--out", str(tmp_path / "run"), "--steps", "50"]
    assert train.main(arguments) == 0
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["steps_done"] == 2
    (line,) = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert "measured" not in line


def test_muon_in_float32_takes_the_steps_of_the_one_in_bfloat16():
    rng = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=rng) for shape in ((64, 200), (120, 40))]  # a wide and a tall matrix
    ways = [[nn.Parameter(matrix.clone()) for matrix in start] for _ in range(2)]
    optimizers = [kind(matrices, lr=0.01, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
                  for kind, matrices in zip((torch.optim.Muon, Float32Muon), ways, strict=True)]  # fmt: skip
    for _ in range(5):
        for pair in zip(*ways, strict=True):
            pair[0].grad = torch.randn(pair[0].shape, generator=rng)
            pair[1].grad = pair[0].grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for in_bfloat16, in_float32, matrix in zip(*ways, start, strict=True):
        assert (in_bfloat16 - in_float32).norm() < 0.02 * (in_bfloat16 - matrix).norm()
