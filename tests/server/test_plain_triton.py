"""Triton without the launcher: the command that `convai backends` prints is pasted into a shell, and answers."""

import shlex
import signal
import subprocess
import time

import pytest

from convai.__main__ import main
from convai.backends.management.control import ControlClient
from convai.backends.management.ports import resolve_ports
from convai.client import ConvaiClient

READY_SECONDS = 120


@pytest.fixture
def backends(tmp_path):
    return tmp_path / "backends"


def printed_by(capsys, *words):
    assert main(["backends", *map(str, words)]) == 0
    return capsys.readouterr().out


class PastedCommand:
    """A shell that runs the printed text, with ports of its own at the end as a person would add them."""

    def __init__(self, text, log_file):
        self.grpc_port, self.http_port, metrics_port = resolve_ports("127.0.0.1", dict.fromkeys("abc", 0))
        ports = f"--grpc-port={self.grpc_port} --http-port={self.http_port} --metrics-port={metrics_port}"
        self.log_file = log_file
        self.process = subprocess.Popen(
            ["sh", "-c", f"exec {text.strip()} {ports}"],
            env={"PATH": "/usr/bin:/bin"},  # what it needs beyond that, the command says
            cwd=log_file.parent,
            stdout=log_file.open("w"),
            stderr=subprocess.STDOUT,
        )

    def __enter__(self):
        control = ControlClient(f"127.0.0.1:{self.http_port}", admin_key="")
        deadline = time.monotonic() + READY_SECONDS
        while not control.is_ready():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log_file.read_text()[-3000:]
            time.sleep(0.2)
        return self

    def __exit__(self, *exception):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        finally:
            self.process.kill()


@pytest.mark.timeout(300)
def test_the_printed_command_serves_the_pipeline(
    model_repository, backends, tmp_path, capsys, example_question, example_context
):
    text = printed_by(capsys, backends, "--model-repository", model_repository)
    audio, sample_rate = example_question
    with PastedCommand(text, tmp_path / "triton.log") as served:
        with ConvaiClient(f"127.0.0.1:{served.grpc_port}") as client:
            answer = client.ask(audio, sample_rate=sample_rate, context=example_context)
    assert answer.answer and answer.answer in example_context
    assert answer.answer_audio.size > 1000


def test_the_command_names_the_profile_the_address_and_this_pythons_packages(model_repository, backends, capsys):
    options = ["--model-repository", model_repository, "--profile", "gpu", "--host", "0.0.0.0"]
    words = shlex.split(printed_by(capsys, backends, *options))
    assert words[0] == "env"
    assert {"--model-config-name=gpu", "--grpc-address=0.0.0.0", f"--backend-directory={backends}"} <= set(words)
    assert {path.name for path in backends.iterdir()} >= {"python", "onnxruntime", "pytorch"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model-repository", "/nowhere"], "there is no model repository /nowhere"),
        (["--profile", "gpus"], "profile 'gpus' has no configuration for"),
    ],
)
def test_a_mistake_is_told_in_one_line_and_nothing_is_made(model_repository, backends, capsys, options, message):
    given = [] if "--model-repository" in options else ["--model-repository", str(model_repository)]
    assert main(["backends", str(backends), *given, *options]) == 1
    assert capsys.readouterr().err.startswith(f"convai backends: {message}")
    assert not backends.exists()


def test_a_place_that_tritons_shell_would_misread_is_refused(model_repository, tmp_path, capsys):
    assert main(["backends", str(tmp_path / "two words"), "--model-repository", str(model_repository)]) == 1
    assert f"through a shell, which misreads {tmp_path}/two words" in capsys.readouterr().err


def test_a_folder_in_use_is_left_alone(model_repository, tmp_path, capsys):
    (tmp_path / "notes.txt").touch()
    assert main(["backends", str(tmp_path), "--model-repository", str(model_repository)]) == 1
    assert "is not empty; name another folder" in capsys.readouterr().err
