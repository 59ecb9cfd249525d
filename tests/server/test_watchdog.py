import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc as triton
from support.convai_process import ServeProcess, wait_until
from support.tiny_repository import write_repository
from support.triton_requests import infer, make_inputs
from tritonclient.utils import InferenceServerException

from convai.backends.management.launcher import Server
from convai.backends.management.processes import stubs_of
from convai.backends.management.watchdog import CHECK_SECONDS, STANDSTILL_SECONDS, Watchdog

REQUESTS = {
    "amplifier": {"x": np.ones(3, np.float32), "note": b""},
    "lookup": {"index": np.array([1, 2])},
    "chain": {"x": np.ones(3, np.float32), "note": b""},
}


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
    """The lines that a watchdog over the server reports."""
    lines = []
    with Watchdog(server, report=lines.append):
        yield lines


def kill_stubs(server, *models):
    for stub in stubs_of(server.process.pid):
        if stub.model in models:
            os.kill(stub.pid, signal.SIGKILL)


def answers(client, model):
    """Whether each instance answers; requests alternate between them."""
    try:
        return all(infer(client, model, **REQUESTS[model]) for _ in range(4))
    except InferenceServerException:
        return False


def models_back(report):
    """The models that the watchdog has reported as back."""
    events = [line.removeprefix("watchdog: ").partition(": back after") for line in report]
    return {model for models, back, _ in events if back for model in models.split(", ")}


@pytest.mark.parametrize("model", ["amplifier", "lookup"])
def test_a_killed_model_is_respawned(server, client, report, model):
    kill_stubs(server, model)

    wait_until(lambda: models_back(report) == {model})
    assert answers(client, model)
    assert report[0] == f"watchdog: {model}: its Python process died; respawning it"
    assert len(report) == 2


def test_a_step_killed_by_the_size_of_a_tensor_is_respawned(server, client, report):
    """The stub, not the step, makes an array of 2^62 numbers: their bytes overflow to 0, so Triton lets them pass."""
    x, note = make_inputs(**REQUESTS["amplifier"])
    x.set_shape([1, 2**62])._raw_content = b""
    with pytest.raises(InferenceServerException):
        client.infer("amplifier", [x, note], client_timeout=10)

    wait_until(lambda: models_back(report) == {"amplifier"})
    assert answers(client, "amplifier")


def test_a_server_crashed_by_a_request_is_restarted(server, client, report):
    inputs, echo = make_inputs(**REQUESTS["amplifier"]), triton.InferRequestedOutput("echo", class_count=1)
    with pytest.raises(InferenceServerException):
        client.infer("amplifier", inputs, outputs=[echo], client_timeout=10)

    wait_until(lambda: report and "server back after" in report[-1])
    assert report[0] == "watchdog: tritonserver crashed; restarting the server"
    wait_until(lambda: answers(client, "chain"))


def test_one_dead_instance_of_several_is_respawned(server, client, report):
    os.kill(next(stub.pid for stub in stubs_of(server.process.pid) if stub.model == "amplifier"), signal.SIGKILL)

    wait_until(lambda: models_back(report) == {"amplifier"})
    assert answers(client, "amplifier")


def test_models_killed_at_the_same_time_all_come_back_and_so_does_their_ensemble(server, client, report):
    kill_stubs(server, "amplifier", "lookup", "halver")

    wait_until(lambda: models_back(report) == {"amplifier", "lookup", "halver"})  # in one round, or in two
    assert answers(client, "chain")
    assert answers(client, "lookup")


def test_a_planned_reload_is_not_reported(server, client, report):
    for _ in range(3):
        os.utime(server.model_repository / "amplifier" / "1")
        server.control.load("amplifier")
    time.sleep(4 * CHECK_SECONDS)

    assert report == []
    assert answers(client, "amplifier")


def test_in_a_read_only_repository_a_model_is_unloaded_first(server, client, report, monkeypatch):
    monkeypatch.setattr(server, "model_repository", Path("/proc/nowhere"))
    kill_stubs(server, "amplifier")

    wait_until(lambda: models_back(report) == {"amplifier"})
    wait_until(lambda: answers(client, "chain"))


def test_a_server_that_waits_for_a_dead_stub_is_restarted(tmp_path):
    lines = []
    with Server(write_repository(tmp_path), models=["amplifier"]) as server, Watchdog(server, report=lines.append):
        server_pid = server.process.pid
        old = {stub.pid for stub in stubs_of(server_pid)}
        kill_stubs(server, "amplifier")

        def is_stuck():
            """Kill newcomers until one has died in its first milliseconds, before it has reported to Triton."""
            kill_newcomers(server_pid, old)
            return any("Triton waits for a process that died; restarting the server" in line for line in lines)

        wait_until(is_stuck)
        wait_until(lambda: "server back after" in lines[-1])
        with triton.InferenceServerClient(server.grpc_address) as client:
            assert answers(client, "amplifier")


def kill_newcomers(server_pid, old):
    for stub in stubs_of(server_pid):
        if stub.pid not in old:
            with suppress(ProcessLookupError):
                os.kill(stub.pid, signal.SIGKILL)


def test_a_server_that_stood_still_is_restarted(tmp_path):
    with ServeProcess(write_repository(tmp_path)) as serve:
        stubs = [stub.pid for stub in stubs_of(serve.server_pid)]
        processes = [serve.process.pid, serve.server_pid, *stubs]
        signal_all(processes, signal.SIGSTOP)
        time.sleep(STANDSTILL_SECONDS + 2 * CHECK_SECONDS)
        signal_all(processes, signal.SIGCONT)

        serve.wait_for_line("all processes stood still for")
        serve.wait_for_line("server back after")
        with triton.InferenceServerClient(serve.printed("gRPC")) as client:
            assert answers(client, "chain")
        serve.process.kill()  # and so its server, without the seconds of an orderly stop


def signal_all(pids, number):
    for pid in pids:
        with suppress(ProcessLookupError):  # a stub may have just ended
            os.kill(pid, number)
