"""Triton without the launcher: the command that `convai backends` prints, pasted into a shell, serves the pipeline."""

import shlex
import subprocess

import pytest
from support.convai_process import wait_until

from convai.__main__ import main
from convai.backends.management.control import ControlClient
from convai.backends.management.launcher import resolve_ports
from convai.client import ConvaiClient


@pytest.fixture
def backends(tmp_path):
    return tmp_path / "backends"


def print_command(capsys, *words):
    assert main(["backends", *map(str, words)]) == 0
    return capsys.readouterr().out


class PastedCommand:
    """A shell that runs the printed text, with free ports appended as a user would append them."""

    def __init__(self, text, log_file):
        self.grpc_port, metrics_port = resolve_ports("127.0.0.1", dict.fromkeys("ab", 0))
        ports = f"--grpc-port={self.grpc_port} --metrics-port={metrics_port}"
        self.log_file = log_file
        self.process = subprocess.Popen(
            ["sh", "-c", f"exec {text.strip()} {ports}"],
            env={"PATH": "/usr/bin:/bin"},  # the command itself sets what else it needs
            cwd=log_file.parent,
            stdout=log_file.open("w"),
            stderr=subprocess.STDOUT,
        )

    def __enter__(self):
        control = ControlClient(f"127.0.0.1:{self.grpc_port}", admin_key="")
        wait_until(lambda: control.is_ready() or self.process.poll() is not None, seconds=120)
        assert self.process.poll() is None, self.log_file.read_text()[-3000:]
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        try:
            self.process.wait(40)
        finally:
            self.process.kill()


@pytest.mark.timeout(300)
def test_the_printed_command_serves_the_pipeline(
    model_repository, backends, tmp_path, capsys, example_question, example_context
):
    text = print_command(capsys, backends, "--model-repository", model_repository)
    audio, sample_rate = example_question
    with PastedCommand(text, tmp_path / "triton.log") as triton:
        with ConvaiClient(f"127.0.0.1:{triton.grpc_port}") as client:
            answer = client.ask(audio, sample_rate=sample_rate, context=example_context)
    assert answer.answer and answer.answer in example_context
    assert answer.answer_audio.size > 1000


def test_the_command_names_the_profile_the_address_and_this_pythons_packages(model_repository, backends, capsys):
    options = ["--model-repository", model_repository, "--profile", "gpu", "--host", "0.0.0.0"]
    words = shlex.split(print_command(capsys, backends, *options))
    assert words[0] == "env"
    assert {"--model-config-name=gpu", "--grpc-address=0.0.0.0", "--allow-http=false"} <= set(words)
    assert f"--backend-directory={backends}" in words
    assert {path.name for path in backends.iterdir()} >= {"python", "onnxruntime", "pytorch"}


def test_a_profile_without_configurations_is_refused_and_nothing_is_made(model_repository, backends, capsys):
    assert main(["backends", str(backends), "--model-repository", str(model_repository), "--profile", "gpus"]) == 1
    assert capsys.readouterr().err.startswith("convai backends: profile 'gpus' has no configuration for")
    assert not backends.exists()


@pytest.mark.parametrize(
    ("folder", "message"),
    [("two words", "/two words to a shell without quotes"), ("used", "is not empty; name another folder")],
)
def test_a_folder_in_use_or_with_a_space_is_refused(model_repository, tmp_path, capsys, folder, message):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "notes.txt").touch()
    assert main(["backends", str(tmp_path / folder), "--model-repository", str(model_repository)]) == 1
    assert message in capsys.readouterr().err
