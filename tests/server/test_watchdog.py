import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from support.tiny_repository import write_repository
from support.triton_requests import infer
from tritonclient.utils import InferenceServerException

from convai.backends.management.control import ControlClient
from convai.backends.management.launcher import Server
from convai.backends.management.processes import children_of, stubs_of
from convai.backends.management.watchdog import CHECK_SECONDS, STANDSTILL_SECONDS, Watchdog

REQUESTS = {
    "amplifier": {"x": np.ones(3, np.float32), "note": b""},
    "lookup": {"index": np.array([1, 2])},
    "chain": {"x": np.ones(3, np.float32), "note": b""},
}
NOTICED_WITHIN_SECONDS = 5
BACK_WITHIN_SECONDS = 10


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(write_repository(tmp_path_factory.mktemp("tiny"))) as server:
        yield server


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(server.grpc_address) as client:
        yield client


@pytest.fixture
def report(server):
    """What a watchdog over the server reports."""
    lines = []
    with Watchdog(server, report=lines.append):
        yield lines


def kill(server, *models):
    for stub in stubs_of(server.process.pid):
        if stub.model in models:
            os.kill(stub.pid, signal.SIGKILL)


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return met


def works(client, model):
    try:
        return bool(infer(client, model, **REQUESTS[model]))
    except InferenceServerException:
        return False


def works_every_time(client, model):
    """True only if each instance answers; requests alternate between them."""
    return all(works(client, model) for _ in range(4))


@pytest.mark.parametrize("model", ["amplifier", "lookup"])
def test_a_killed_model_is_noticed_and_revived_in_time(server, client, report, model):
    kill(server, model)

    assert wait_for(lambda: report, NOTICED_WITHIN_SECONDS)
    assert wait_for(lambda: works_every_time(client, model), BACK_WITHIN_SECONDS)
    assert wait_for(lambda: len(report) == 2, 1)
    assert f"{model}: its Python process died" in report[0]
    assert f"{model}: back after" in report[1]


def test_one_dead_instance_of_several_is_noticed(server, client, report):
    os.kill(next(stub.pid for stub in stubs_of(server.process.pid) if stub.model == "amplifier"), signal.SIGKILL)

    assert wait_for(lambda: len(report) == 2, BACK_WITHIN_SECONDS)
    assert works_every_time(client, "amplifier")


def test_all_models_killed_at_once_come_back_and_so_does_their_ensemble(server, client, report):
    kill(server, "amplifier", "lookup", "halver")

    assert wait_for(lambda: works_every_time(client, "chain"), BACK_WITHIN_SECONDS + 5)  # PyTorch is slow to import
    assert wait_for(lambda: works_every_time(client, "lookup"), 1)
    assert "amplifier, halver, lookup: back after" in report[-1] or len(report) > 4  # in one round, or in two


def test_a_planned_reload_is_no_reason_to_bark(server, client, report):
    for _ in range(3):
        os.utime(server.model_repository / "amplifier" / "1")
        server.control.load("amplifier")
    time.sleep(4 * CHECK_SECONDS)

    assert report == []
    assert works(client, "amplifier")


def test_a_repository_that_cannot_be_touched_is_served_again_by_unloading_first(server, client):
    elsewhere = FixedServer(server, Path("/proc/nowhere"))
    lines = []
    with Watchdog(elsewhere, report=lines.append):
        kill(server, "amplifier")

        assert wait_for(lambda: len(lines) == 2, BACK_WITHIN_SECONDS)
    assert wait_for(lambda: works_every_time(client, "chain"), BACK_WITHIN_SECONDS)


@dataclass
class FixedServer:
    """The running server, as a watchdog sees it that may not write where its models are."""

    server: Server
    model_repository: Path

    @property
    def control(self) -> ControlClient:
        return self.server.control

    @property
    def process(self):
        return self.server.process

    @property
    def has_crashed(self):
        return self.server.has_crashed

    def note_regions(self):
        self.server.note_regions()


def test_a_server_that_waits_for_a_dead_stub_is_restarted(tmp_path):
    lines = []
    with Server(write_repository(tmp_path), models=["amplifier"]) as server, Watchdog(server, report=lines.append):
        old = {stub.pid for stub in stubs_of(server.process.pid)}
        kill(server, "amplifier")

        # Dying in its first milliseconds, before it has told Triton that it lives.
        assert wait_for(lambda: kill_newcomers(server, old), NOTICED_WITHIN_SECONDS)
        assert wait_for(lambda: "server back after" in lines[-1], 20)
        with triton.InferenceServerClient(server.grpc_address) as client:
            assert works_every_time(client, "amplifier")
    assert any("Triton waits for a process that died; restarting the server" in line for line in lines)


def kill_newcomers(server, old):
    newcomers = [stub.pid for stub in stubs_of(server.process.pid) if stub.pid not in old]
    for pid in newcomers:
        os.kill(pid, signal.SIGKILL)
    return newcomers


def test_a_server_that_stood_still_is_restarted(tmp_path):
    options = ["--warm-up", "0", "--grpc-port", "0", "--http-port", "0", "--metrics-port", "0"]
    command = [sys.executable, "-m", "convai", "serve", "--model-repository", write_repository(tmp_path), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as launcher:
        said = {line.split()[0]: line for line in until_ready(launcher)}
        (server,) = (pid for pid in children_of(launcher.pid) if stubs_of(pid))
        everybody = [launcher.pid, server, *(stub.pid for stub in stubs_of(server))]
        signal_all(everybody, signal.SIGSTOP)
        time.sleep(STANDSTILL_SECONDS + 2 * CHECK_SECONDS)
        signal_all(everybody, signal.SIGCONT)

        assert "all stood still for" in launcher.stdout.readline()
        assert "server back after" in launcher.stdout.readline()
        with triton.InferenceServerClient(said["gRPC"].split()[1]) as client:
            assert works_every_time(client, "chain")
        launcher.send_signal(signal.SIGTERM)


def until_ready(launcher):
    for line in launcher.stdout:
        yield line
        if line.startswith("ready"):
            return


def signal_all(pids, number):
    for pid in pids:
        with suppress(ProcessLookupError):  # one that was just ending when they were counted
            os.kill(pid, number)
