import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from support.tiny_repository import write_repository

from convai.__main__ import main
from convai.backends.management.processes import (
    SHARED_MEMORY,
    command_line,
    is_zombie,
    process_ids,
    regions_of,
    status_of,
)
from convai.backends.management.repository import models_in


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Only the Python step, which starts at once."""
    folder = write_repository(tmp_path_factory.mktemp("tiny"))
    for model in set(models_in(folder)) - {"amplifier"}:
        (folder / model / "config.pbtxt").unlink()
    return folder


class Serving:
    """A `convai serve` process that is ready."""

    def __init__(self, repository, *options):
        ports = [word for name in ("grpc", "http", "metrics") for word in (f"--{name}-port", "0")]
        command = [sys.executable, "-m", "convai", "serve", "--model-repository", str(repository), *ports, *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = {}
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            self.said[word] = rest.strip()
            if line.startswith("ready"):
                break
        self.server_pid = next(pid for pid in process_ids() if f"--http-port={self.http_port}" in command_line(pid))
        self.regions = regions_of(self.server_pid)

    @property
    def http_port(self):
        return self.said["HTTP"].rpartition(":")[2]

    def leaves_nothing(self):
        """Whether its processes and shared memory are gone, within ten seconds."""
        for _ in range(100):
            group = [pid for pid in process_ids() if status_of(pid)[2:3] == [str(self.server_pid)]]
            files = [region for region in self.regions if (SHARED_MEMORY / region).exists()]
            if not files and all(is_zombie(pid) for pid in group):
                return True
            time.sleep(0.1)
        return False


def is_ready(http_address):
    try:
        with urllib.request.urlopen(f"http://{http_address}/v2/health/ready", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_it_is_and_stops_cleanly_on_a_signal(repository, signal_number):
    serving = Serving(repository)

    assert serving.said["models"] == "amplifier"
    with urllib.request.urlopen(serving.said["metrics"], timeout=10) as answer:
        assert answer.status == 200

    serving.process.send_signal(signal_number)
    assert serving.process.wait(20) == 0
    assert serving.process.stdout.read() == "stopped\n"
    assert serving.leaves_nothing()


def test_serve_says_what_a_network_runs_on(tmp_path):
    folder = write_repository(tmp_path)
    for model in set(models_in(folder)) - {"lookup"}:
        (folder / model / "config.pbtxt").unlink()
    config = folder / "lookup" / "config.pbtxt"
    config.write_text(config.read_text().replace('backend: "onnxruntime"', 'backend: "openvino"'))
    serving = Serving(folder)
    serving.process.terminate()
    assert serving.said["network"].startswith("lookup: OpenVINO ")
    assert serving.said["network"].endswith(", FP32, 1 thread")
    assert serving.process.wait(20) == 0


def test_a_second_signal_ends_the_wait_for_callers(repository):
    serving = Serving(repository, "--drain", "100")
    with socket.create_connection(("127.0.0.1", int(serving.http_port))):
        serving.process.terminate()
        assert serving.process.stdout.readline().startswith("waiting up to 100 s for the end of 1 connections")
        serving.process.terminate()
        assert serving.process.wait(20) == 0
    assert serving.leaves_nothing()


@pytest.mark.parametrize("victims", ["launcher", "launcher and server"])
def test_the_server_ends_with_its_launcher_even_if_that_is_killed(repository, victims):
    serving = Serving(repository)
    serving.process.kill()
    if victims == "launcher and server":
        os.kill(serving.server_pid, signal.SIGKILL)
    serving.process.wait(10)

    assert serving.leaves_nothing()


def test_a_server_that_crashes_is_started_again_on_the_same_ports(repository):
    serving = Serving(repository)
    os.kill(serving.server_pid, signal.SIGKILL)
    while is_ready(serving.said["HTTP"]):
        time.sleep(0.05)

    assert any(is_ready(serving.said["HTTP"]) or time.sleep(0.1) for _ in range(300))
    serving.process.terminate()
    assert serving.process.wait(20) == 0
    said = serving.process.stdout.read()
    assert "watchdog: tritonserver crashed; restarting the server" in said
    assert "watchdog: server back after" in said


def test_options_after_two_dashes_reach_tritonserver_and_the_log_is_kept(repository, tmp_path):
    log = tmp_path / "serve.log"
    serving = Serving(repository, "--log-file", str(log), "--", "--id=a-name-of-its-own")
    serving.process.terminate()

    assert serving.process.wait(20) == 0
    assert "a-name-of-its-own" in log.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model-repository", "/nowhere"], "there is no model repository /nowhere"),
        (["--profile", "gpus"], "profile 'gpus' has no configuration for amplifier; profiles that every"),
        (["--drain", "-1"], "--drain is -1; allowed is 0"),
        (["--tls-cert", "cert.pem"], "TLS needs both --tls-cert and --tls-key"),
        (["--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"], "TLS file /nowhere/cert.pem does not"),
        (["--host", "192.0.2.1"], "192.0.2.1 is not available"),
        (["--", "--no-such-option"], "tritonserver ended with status"),
    ],
)
def test_a_mistake_is_told_in_one_line(repository, capsys, options, message):
    given = ["--model-repository", str(repository)] if "--model-repository" not in options else []
    ports = ["--grpc-port=0", "--http-port=0", "--metrics-port=0"] if "--host" not in options else []

    assert main(["serve", *given, *ports, *options]) == 1
    assert capsys.readouterr().err.startswith(f"convai serve: {message}")
