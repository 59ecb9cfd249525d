import os
import re
import signal
import socket
import urllib.request

import pytest
from support.convai_process import ANY_PORTS, ServeProcess
from support.tiny_repository import write_repository

from convai.__main__ import main
from convai.backends.management.control import ControlClient
from convai.backends.management.repository import models_in
from convai.backends.management.serve import ENSEMBLE, warm_up
from convai.client.steps import requests_between
from convai.description.wiring import wiring_of


def keep_only(model, repository):
    for other in set(models_in(repository)) - {model}:
        (repository / other / "config.pbtxt").unlink()
    return repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Only the Python step, which starts at once."""
    return keep_only("amplifier", write_repository(tmp_path_factory.mktemp("tiny")))


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_where_it_listens_and_stops_cleanly_on_a_signal(repository, tmp_path, signal_number):
    log = tmp_path / "serve.log"
    with ServeProcess(repository, "--log-file", log, "--", "--id=a-name-of-its-own") as serve:
        assert serve.printed("models") == "amplifier"
        assert not any(line.startswith("HTTP") for line in serve.lines)
        with urllib.request.urlopen(serve.printed("metrics"), timeout=10) as response:
            assert b"nv_inference_count" in response.read()
        serve.process.send_signal(signal_number)
        assert serve.process.wait(20) == 0
    assert serve.lines[-1] == "stopped\n"
    assert serve.leaves_nothing()
    assert "a-name-of-its-own" in log.read_text()  # what follows two dashes reaches tritonserver


@pytest.fixture(scope="module")
def serving_network(tmp_path_factory):
    """`convai serve` over a network, with HTTP open."""
    repository = keep_only("lookup", write_repository(tmp_path_factory.mktemp("network")))
    config = repository / "lookup" / "config.pbtxt"
    config.write_text(config.read_text().replace('backend: "onnxruntime"', 'backend: "openvino"'))
    with ServeProcess(repository, "--http-port", "0") as serve:
        yield serve
        serve.process.kill()  # and so its server, without the seconds of an orderly stop


def test_http_is_open_only_if_asked_for_and_with_a_warning(serving_network):
    with urllib.request.urlopen(f"http://{serving_network.printed('HTTP')}/v2/health/ready", timeout=10) as response:
        assert response.status == 200
    assert serving_network.lines[0].startswith("warning: HTTP is open; any web page")


def test_serve_prints_what_a_network_runs_on(serving_network):
    network = serving_network.printed("network")
    assert network.startswith("lookup: OpenVINO ")
    assert network.endswith(", FP32, 1 thread")


def test_a_second_signal_ends_the_wait_for_callers(repository):
    with ServeProcess(repository, "--drain", "100") as serve:
        with socket.create_connection(("127.0.0.1", serve.grpc_port)):
            serve.process.terminate()
            serve.wait_for_line("waiting up to 100 s for 1 open connections")
            serve.process.terminate()
            serve.wait_for_line("1 connections are still open")
        assert serve.process.wait(20) == 0  # an open connection would cost Triton's whole timeout
    assert serve.leaves_nothing()


@pytest.mark.parametrize("victims", ["launcher", "launcher and server"])
def test_the_server_ends_with_its_launcher_even_if_that_is_killed(repository, victims):
    with ServeProcess(repository) as serve:
        serve.process.kill()
        if victims == "launcher and server":
            os.kill(serve.server_pid, signal.SIGKILL)
    assert serve.leaves_nothing()


def test_a_server_that_crashes_is_restarted_on_the_same_ports_and_then_shuts_down_gracefully(repository):
    with ServeProcess(repository) as serve:
        os.kill(serve.server_pid, signal.SIGKILL)
        serve.wait_for_line("watchdog: tritonserver crashed; restarting the server")
        serve.wait_for_line("watchdog: server back after")
        assert ControlClient(serve.printed("gRPC"), admin_key="").is_ready()
        with socket.create_connection(("127.0.0.1", serve.grpc_port)):
            serve.process.terminate()
            serve.wait_for_line("waiting up to 20 s for 1 open connections")
        assert serve.process.wait(20) == 0
    assert serve.leaves_nothing()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model-repository", "/nowhere"], "there is no model repository /nowhere"),
        (
            ["--profile", "gpu"],
            "profile 'gpu' has no configuration for .*`convai generate --profile gpu` writes",
        ),
        (["--drain", "-1"], "--drain: expected 0"),
        (["--tls-cert", "cert.pem"], "TLS needs both --tls-cert and --tls-key"),
        (["--tls-cert", "/nowhere/cert.pem", "--tls-key", "/nowhere/key.pem"], "TLS file /nowhere/cert.pem does not"),
        (["--host", "192.0.2.1"], "192.0.2.1 is not available"),
        (["--", "--no-such-option"], "tritonserver ended with status"),
    ],
)
def test_a_wrong_option_ends_serve_with_a_message(repository, capsys, options, message):
    folder = ["--model-repository", str(repository)] if "--model-repository" not in options else []

    assert main(["serve", *folder, *ANY_PORTS, *options]) == 1
    assert re.match(f"convai serve: {message}", capsys.readouterr().err)


def test_one_warm_up_question_runs_every_step(server, client):
    steps = [call.step for call in wiring_of(ENSEMBLE).calls]
    before = client.read_counters()
    warm_up(server.control, 1)
    after = client.wait_for_counters(before, steps)
    assert [step for step in steps if requests_between(before, after, step) != 1] == []
