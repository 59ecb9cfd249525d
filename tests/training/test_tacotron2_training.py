import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from convai.networks.checkpoints.weights import build, read_weights
from convai.networks.registry import NETWORKS
from convai.networks.tacotron2.model import CONFIGS, Tacotron2, example_inputs
from convai.text.symbols import SYMBOL_IDS
from training.common.training import Schedule
from training.tacotron2 import train
from training.tacotron2.data import (
    SECONDS_PER_FRAME,
    Batch,
    Clip,
    Tacotron2Recipe,
    collate,
    compute_attention,
    shift_attention,
)
from training.tacotron2.losses import predict

QUICK = Tacotron2Recipe(
    batch_frames=200,
    first_steps=2,
    sequential_from=2,
    bfloat16=False,
    schedule=Schedule(steps=20, warm_up_steps=3, peak_rate=4e-3),
)
FRAMES_PER_LETTER = 8


def whistle(text: str) -> Clip:
    """A made-up language: every letter has a band of its own."""
    log_mel = np.full((FRAMES_PER_LETTER * len(text), 80), -11.5, np.float16)
    for index, letter in enumerate(text):
        band = 3 * (ord(letter) - ord("a"))
        log_mel[index * FRAMES_PER_LETTER : (index + 1) * FRAMES_PER_LETTER, band : band + 4] = 0.0
    ends = [(index + 1) * FRAMES_PER_LETTER * SECONDS_PER_FRAME for index in range(len(text))]
    return Clip([SYMBOL_IDS[letter] for letter in text], ends, log_mel)


@pytest.fixture(scope="module")
def clips():
    return [whistle(text) for text in ("abc", "cab", "bead", "fade", "gag", "ace", "dice", "hide")]


def test_training_lowers_every_loss_on_the_same_speech(clips):
    training = train.build_training(QUICK, clips)
    losses = [training.step() for _ in range(QUICK.schedule.steps)]
    for name in ("mel", "gate", "attention"):
        last, first = (np.mean([one[name] for one in some]) for some in (losses[-4:], losses[:4]))
        assert last < 0.8 * first, name


def test_a_resumed_run_continues_exactly_as_an_uninterrupted_one(clips, assert_resumes):
    assert_resumes(lambda: train.build_training(QUICK, clips))


def test_only_the_prenet_has_dropout(clips):
    network = Tacotron2(replace(QUICK.config, p_prenet_dropout=0.0)).train()
    batch = collate(clips, network.n_frames_per_step)
    assert torch.equal(predict(network, batch, batch.attention).mel, predict(network, batch, batch.attention).mel)


def test_all_steps_at_once_agree_with_step_by_step_for_the_same_attention():
    torch.manual_seed(0)
    config = replace(CONFIGS["mini"], p_prenet_dropout=0.0)  # which is random
    network = Tacotron2(config).eval()
    symbols, symbols_length = example_inputs(config, 3, 20)
    mels, lengths = torch.randn(3, config.n_mel_channels, 60), torch.tensor([[60], [45], [60]], dtype=torch.int32)
    with torch.no_grad():
        decoded, mel, gates, attention = network.teacher_forced(symbols, symbols_length, mels, lengths)
        batch = Batch(symbols, symbols_length, mels, lengths, gates, attention)
        prediction = predict(network, batch, attention)
    forced = (prediction.decoded, prediction.mel, prediction.gates, prediction.log_attention.exp())
    torch.testing.assert_close(forced, (decoded, mel, gates, attention), atol=1e-5, rtol=0)


def test_attention_is_shared_among_the_symbols_of_a_step():
    ends = np.array([2.5, 3.0, 8.5]) * SECONDS_PER_FRAME
    attention = compute_attention(ends, steps=4, frames_per_step=3)
    np.testing.assert_allclose(attention.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(attention[0], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(attention[1], [0, 1 / 6, 5 / 6], atol=1e-6)
    np.testing.assert_allclose(attention[3], [0, 0, 1], atol=1e-6)


def test_shifted_attention_is_the_teachers_a_few_steps_off(clips):
    attention = collate(clips, frames_per_step=3).attention
    shifted = shift_attention(attention, 2, np.random.default_rng(0))
    assert not torch.equal(shifted, attention)
    assert torch.equal(shift_attention(attention[:1, :9], 0, np.random.default_rng(0)), attention[:1, :9])
    for row, shifted_row in zip(attention, shifted, strict=True):
        valid = int((row.sum(1) > 0).sum())
        for step in range(valid):
            nearby = row[max(0, step - 2) : min(valid, step + 3)]
            assert any(torch.equal(shifted_row[step], one) for one in nearby)


def test_the_gate_fires_one_step_after_the_last_frame_of_each_clip(clips):
    batch = collate([clips[0], clips[2]], frames_per_step=3)
    assert batch.mels_length.flatten().tolist() == [27, 36]
    assert batch.gates.argmax(1).tolist() == [8, 11]
    assert batch.gates.sum(1).tolist() == [1, 1]
    assert batch.step_mask.sum(1).tolist() == [9, 12]


def test_the_program_writes_weights_that_export_can_load(tmp_path, run_twice):
    write_speech(tmp_path / "speech")
    options = ["--manifest", tmp_path / "speech" / "manifest.jsonl"]
    log = run_twice(train.main, tmp_path / "out", *options)
    assert log[0]["measured"].keys() == {"mel", "focus", "off_symbols", "runaways", "length"}
    network = NETWORKS["tacotron2"]
    build(network, read_weights(network, tmp_path / "out" / "tacotron2.safetensors"), seed=0)


def write_speech(folder):
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for number, spoken in enumerate(("{HH AY1}.", "{B AY1}.", "hi.")):
        soundfile.write(folder / f"{number}.flac", 0.1 * rng.standard_normal(8_000), 22_050)
        ends = [8_000 / 22_050 * (index + 1) / 3 for index in range(3)]
        lines.append(json.dumps({"audio": f"{number}.flac", "spoken": spoken, "ends": ends}))
    (folder / "manifest.jsonl").write_text("\n".join(lines))


def test_measuring_finds_the_runaways_of_an_untrained_network(clips):
    torch.manual_seed(0)
    figures = train.measure(Tacotron2(CONFIGS["mini"]).eval(), clips[:2])
    assert figures["runaways"] == 1
    assert 0 < figures["focus"] < 0.9
