"""The device of a training, and the worker processes that draw its batches."""

import pytest
import torch
from support.own_process import run_in_own_process
from torch import nn

from convai.errors import InvalidArgument
from training.common.device import MOST_WORKERS, choose_device, choose_workers
from training.common.training import Schedule, Training


def build(workers):
    torch.manual_seed(0)
    training = Training(
        nn.Linear(3, 2),
        Schedule(steps=9, warm_up_steps=1, peak_rate=0.1),
        lambda step: (torch.full((3,), float(step)),),
        lambda network, batch, step: {"loss": network(batch[0]).square().sum()},
    )
    training.workers = workers
    return training


def take_steps(state_file):
    """Losses without workers and, resumed after four steps, with them."""
    alone, helped, resumed = build(0), build(2), build(2)
    losses = [alone.step() for _ in range(6)]
    helped_losses = [helped.step() for _ in range(4)]
    helped.save(state_file)
    resumed.step()
    resumed.resume(state_file)
    return losses, helped_losses + [resumed.step() for _ in range(2)]


def test_worker_processes_draw_the_batches_of_the_same_steps(tmp_path):
    losses, helped_losses = run_in_own_process(take_steps, tmp_path / "state.pt")
    assert helped_losses == losses


def test_a_gpu_is_used_only_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == choose_device("cpu") == torch.device("cpu")
    with pytest.raises(InvalidArgument, match="--device: expected cpu, because PyTorch finds no GPU .*, got cuda"):
        choose_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device() == choose_device("cuda") == torch.device("cuda")


def test_workers_leave_the_cores_of_a_cpu_to_the_training():
    assert choose_workers(torch.device("cpu")) == 0
    assert choose_workers(torch.device("cuda")) <= MOST_WORKERS
