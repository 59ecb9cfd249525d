import copy
import json

import pytest
import torch

from training.common.device import move


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def assert_resumes(tmp_path):
    """Checks that a run resumed after some steps continues as the uninterrupted one."""

    def check(build, steps=2):
        training = build()
        for _ in range(steps):
            training.step()
        training.save(tmp_path / "state.pt")
        uninterrupted = [training.step() for _ in range(steps)]
        resumed = build()
        resumed.resume(tmp_path / "state.pt")
        assert [resumed.step() for _ in range(steps)] == uninterrupted
        for one, other in zip(training.network.parameters(), resumed.network.parameters(), strict=True):
            assert torch.equal(one, other)

    return check


@pytest.fixture
def run_twice():
    """Runs a training program for some steps, resumes it for one more, and returns the lines of its log."""

    def run(main, out, *options, steps=1):
        arguments = ["--out", str(out), *map(str, options)]
        assert main([*arguments, "--steps", str(steps)]) == 0
        assert main([*arguments, "--steps", str(steps + 1), "--resume"]) == 0
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in log] == [steps, steps + 1]
        return log

    return run


@pytest.fixture
def assert_losses_leave_the_cpu():
    """Checks that the losses of a step mix no tensor of the CPU with those of the device; meta tensors hold nothing."""

    def check(training, step):
        device = torch.device("meta")
        with torch.no_grad():
            batch = move(training.draw_batch(step), device)
            losses = training.compute_losses(copy.deepcopy(training.network).to(device), batch, step)
        assert {loss.device for loss in losses.values()} == {device}

    return check
