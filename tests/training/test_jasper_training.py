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
from support.own_process import run_in_own_process
from torch import nn

from convai.errors import InvalidArgument
from convai.networks.jasper.config import CONFIGS, BlockConfig, JasperConfig, residual_blocks
from convai.networks.jasper.model import Jasper
from training.common.training import Schedule, Training
from training.jasper import train
from training.jasper.augment import AugmentConfig, augment
from training.jasper.data import Clip, read_clips
from training.jasper.expand_depth import expand_depth
from training.jasper.optimizer import Float32Muon

TINY = JasperConfig(blocks=(BlockConfig(32, 5, stride=2), *residual_blocks(2, (48, 5)), BlockConfig(64, 1)))
QUICK = train.JasperRecipe(
    size="tiny",
    batch_seconds=8.0,
    first_steps=2,
    bfloat16=False,
    schedule=Schedule(steps=40, warm_up_steps=5, peak_rate=1e-2, weight_decay=1e-2),
)
UNCHANGED = replace(
    AugmentConfig().weaken(0), tempo=(1.0, 1.0), vocal_tract=(1.0, 1.0), frequency_masks=0, time_masks_per_second=0
)


def whistle(text: str, frames_per_letter: int = 12) -> Clip:
    """A made-up language: every letter has a band of its own, and a pause follows it."""
    log_mel = np.full((frames_per_letter * len(text), 64), -12.0, np.float16)
    for index, letter in enumerate(text):
        band = 2 * (ord(letter) - ord("a") + 1) if letter != " " else 0
        log_mel[index * frames_per_letter : (index + 1) * frames_per_letter - 4, band : band + 4] = 0.0
    return Clip(log_mel, text, speaker="whistler")


@pytest.fixture(scope="module")
def clips():
    return [whistle(text) for text in ("a cab", "bead", "fade", "gag", "ace", "dice bag", "hide", "jig")]


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(CONFIGS, "tiny", TINY)


@pytest.fixture
def manifest(tmp_path):
    return write_speech(tmp_path / "speech")


def write_speech(folder, text="go on"):
    """A second of a tone as audio with its manifest."""
    folder.mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 22_050)
    soundfile.write(folder / "tone.flac", tone, 22_050)
    line = {"audio": "tone.flac", "text": text, "speaker": "tuner", "seconds": 1.0, "sample_rate": 22_050}
    (folder / "manifest.jsonl").write_text(json.dumps(line) + "\n")
    return folder / "manifest.jsonl"


def test_training_lowers_the_loss_on_the_same_speech(clips):
    training = train.build_training(QUICK, clips, UNCHANGED)
    losses = [training.step()["loss"] for _ in range(QUICK.schedule.steps)]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_a_resumed_run_continues_exactly_as_an_uninterrupted_one(clips, assert_resumes):
    assert_resumes(lambda: train.build_training(QUICK, clips, AugmentConfig()))


def test_a_manifest_may_have_copies_whose_speeds_lie_around_its_own():
    assert train.spread_speeds(1) == [1.01]
    assert train.spread_speeds(3) == [0.91, 1.01, 1.11]
    assert train.parse_manifest_and_copies("a/b.jsonl") == (Path("a/b.jsonl"), 1)
    assert train.parse_manifest_and_copies("a/b.jsonl:4") == (Path("a/b.jsonl"), 4)
    for wrong in ("a/b.jsonl:0", "a/b.jsonl:many", "a/b.jsonl:"):
        with pytest.raises(argparse.ArgumentTypeError, match="at least 1"):
            train.parse_manifest_and_copies(wrong)


def test_an_expanded_network_starts_with_the_output_of_the_smaller_one(clips):
    torch.manual_seed(0)
    deeper = replace(TINY, blocks=(*TINY.blocks[:2], *residual_blocks(2, (48, 5), (48, 5)), TINY.blocks[2]))
    smaller, larger = Jasper(TINY).eval(), Jasper(deeper).eval()
    features, length = train.pad([augment(clip.log_mel, UNCHANGED, np.random.default_rng(0)) for clip in clips])
    expand_depth(smaller, larger, features, length)
    with torch.no_grad():
        torch.testing.assert_close(larger(features, length), smaller(features, length), atol=1e-4, rtol=0)
    assert sum(p.numel() for p in larger.parameters()) > 1.5 * sum(p.numel() for p in smaller.parameters())


def test_a_network_cannot_be_expanded_into_one_of_other_filters():
    with pytest.raises(InvalidArgument, match="all blocks of the smaller network"):
        expand_depth(Jasper(TINY), Jasper(CONFIGS["mini"]), torch.zeros(1, 64, 32), torch.tensor([[32]]))


def test_recordings_are_read_as_log_mels_and_a_faster_scale_shortens_them(manifest, tmp_path):
    (clip,) = read_clips(manifest, tmp_path / "cache")
    (faster,) = read_clips(manifest, tmp_path / "cache", scale=1.25)
    assert clip.log_mel.shape == (100, 64)
    assert faster.log_mel.shape == (80, 64)
    assert faster.log_mel.mean(axis=0).argmax() > clip.log_mel.mean(axis=0).argmax()


def test_a_transcript_with_letters_outside_the_alphabet_is_refused(tmp_path):
    with pytest.raises(InvalidArgument, match=r"text '7 up': expected only .*, got \['7'\]"):
        read_clips(write_speech(tmp_path / "speech", text="7 up"), tmp_path / "cache")


def test_the_program_writes_log_state_and_weights_and_resumes(manifest, tmp_path, run_twice):
    log = run_twice(
        train.main, tmp_path / "run", "--manifest", manifest, "--real", f"{manifest}:2", "--dev", manifest,
        "--noise", manifest, "--size", "mini",
    )  # fmt: skip
    assert "speech" in log[-1]["measured"]
    assert (tmp_path / "run" / "jasper.safetensors").exists()


def train_until_sigterm(arguments):
    """Send this process SIGTERM after two steps of a training; return what the program returns."""
    take_step = Training.step

    def step_and_signal(training):
        losses = take_step(training)
        if training.steps_done == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return losses

    Training.step = step_and_signal
    return train.main(arguments)


def test_sigterm_ends_a_run_with_its_state_saved(manifest, tmp_path):
    arguments = ["--manifest", str(manifest), "--dev", str(manifest), "--out", str(tmp_path / "run"), "--size", "mini"]
    assert run_in_own_process(train_until_sigterm, [*arguments, "--steps", "50"]) == 0
    assert torch.load(tmp_path / "run" / "state.pt", weights_only=True)["steps_done"] == 2
    (line,) = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert "measured" not in line


def test_muon_in_float32_takes_the_steps_of_the_one_in_bfloat16():
    rng = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=rng) for shape in ((64, 200), (120, 40))]  # a wide and a tall matrix
    copies = [[nn.Parameter(matrix.clone()) for matrix in start] for _ in range(2)]
    options = {"lr": 0.01, "weight_decay": 0.01, "adjust_lr_fn": "match_rms_adamw"}
    optimizers = [torch.optim.Muon(copies[0], **options), Float32Muon(copies[1], **options)]
    for _ in range(5):
        for pair in zip(*copies, strict=True):
            pair[0].grad = torch.randn(pair[0].shape, generator=rng)
            pair[1].grad = pair[0].grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for in_bfloat16, in_float32, matrix in zip(*copies, start, strict=True):
        assert (in_bfloat16 - in_float32).norm() < 0.02 * (in_bfloat16 - matrix).norm()
