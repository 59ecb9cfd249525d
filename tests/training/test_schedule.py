"""The learning rate of the recipes, and what `--init` starts from."""

import pytest
import torch
from torch import nn

from convai.networks.checkpoints.quantised import load
from training.bert.data import BertRecipe
from training.common.training import Schedule, Training


def test_the_rate_rises_stays_level_and_ends_at_zero():
    schedule = Schedule(steps=100, warm_up_steps=10, decay_share=0.25, peak_rate=1.0)
    assert schedule.rate(0) == pytest.approx(0.1)
    assert schedule.rate(10) == schedule.rate(75) == 1.0
    assert schedule.rate(87) == pytest.approx(0.53, abs=0.01)
    assert schedule.rate(100) == pytest.approx(0.0)


def test_the_rate_of_bert_rises_and_falls_linearly():
    schedule = BertRecipe().schedule
    rates = [schedule.rate(step) / schedule.peak_rate for step in (0, 91, 1_191, 2_290)]
    assert rates == pytest.approx([1 / 92, 1, 0.5, 0], abs=1e-3)


def test_exported_weights_start_a_run_that_skips_the_first_steps(tmp_path):
    def build():
        torch.manual_seed(0)
        network = nn.Linear(3, 2)
        return Training(
            network,
            Schedule(steps=9),
            lambda step: torch.ones(3),
            lambda network, batch, step: {"loss": network(batch).sum()},
            first_steps=5,
        )

    training = build()
    training.step()
    training.export(tmp_path / "weights", "tiny")
    started = build()
    started.start_from(tmp_path / "weights")
    assert started.steps_done == 5
    for name, tensor in load(tmp_path / "weights").items():
        assert torch.equal(started.network.state_dict()[name], tensor)
        assert not torch.equal(build().network.state_dict()[name], tensor)


def test_a_loss_that_is_not_finite_stops_before_the_weights_change():
    network = nn.Linear(3, 2)
    before = network.weight.clone()
    training = Training(
        network, Schedule(), lambda step: float("nan"), lambda network, nan, step: {"loss": network.weight.sum() * nan}
    )
    with pytest.raises(FloatingPointError, match="the loss of step 0 is nan; lower the rate"):
        training.step()
    assert torch.equal(network.weight, before)
