import os
import shutil
import socket
import tempfile
from subprocess import TimeoutExpired
from types import SimpleNamespace

import pytest
from support.places import ROOT

from convai.backends.management import runtime_directory, tritonserver
from convai.backends.management.control import ControlError
from convai.backends.management.launcher import Server, ServerNotRunning, resolve_ports
from convai.backends.management.serve import ENSEMBLE, warm_up
from convai.backends.management.tritonserver import (
    PYTHON_VERSION,
    TritonFiles,
    check_libraries,
    find_errors,
    find_triton,
    prepare_backends,
    server_variables,
)
from convai.backends.management.watchdog import Watchdog
from convai.errors import InvalidArgument

LOG = r"""I1122 18:46:55.700000 1 server.cc:300] "starting"
E1122 18:46:55.733981 1 server.cc:241] "CudaDriverHelper has not been initialized."
E1122 18:46:55.733990 1 backend_model.cc:692] "ERROR: Failed to create instance: ValueError: bert: no\n\nAt:\n  x.py(1)"
E1122 18:46:55.734041 1 lifecycle.cc:642] "failed to load 'bert' version 1: ValueError: bert: no\n\nAt:\n  x.py(1)"
error: creating server: Internal - failed to load all models
"""


@pytest.mark.parametrize(
    ("log", "errors"),
    [
        (LOG, "failed to load 'bert' version 1: ValueError: bert: no"),  # without the traceback
        ("error: creating server: Invalid argument - no", "creating server: Invalid argument - no"),
        ("I1122 18:46:55.700000 1 server.cc:300] fine", "its log holds no error"),
        ('E1122 20:02:29.8 16818 adapter.py:103] "bert: Traceback"', "its log holds no error"),  # of a request
    ],
)
def test_the_log_says_why_the_server_ended(log, errors):
    assert find_errors(log) == errors


def test_port_zero_picks_free_ports_that_differ():
    ports = resolve_ports("127.0.0.1", {"--grpc-port": 0, "--http-port": 0, "--metrics-port": 0})
    assert len(set(ports)) == 3


def test_a_port_that_is_taken_or_given_twice_is_refused_with_its_option():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"127.0.0.1:{port} is not available; choose another port with --http-port"):
            resolve_ports("127.0.0.1", {"--grpc-port": 0, "--http-port": port})
    with pytest.raises(OSError, match=f"127.0.0.1:{port} is not available; choose another port with --http-port"):
        resolve_ports("127.0.0.1", {"--grpc-port": port, "--http-port": port})


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(InvalidArgument, match=rf"--grpc-port: expected 0 \(picks a free port\) to 65535, got {port}"):
        resolve_ports("127.0.0.1", {"--grpc-port": port})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("libgone.so => not found", "needs libgone.so: not found"),
        ("libpython3.11.so.1.0 => not found", f"install your system's package libpython{PYTHON_VERSION}"),
        ("libpython2.7.so.1.0 => /usr/lib/libpython2.7.so.1.0", "runs Python 2.7 but convai is installed for"),
    ],
)
def test_a_stub_that_cannot_start_is_refused_because_triton_would_hang(tmp_path, line, message):
    libraries = f"\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\t{line}\n"
    with pytest.raises(OSError, match=message):
        check_libraries(tmp_path / "stub", libraries)


def test_a_crash_is_left_to_the_watchdog_and_any_other_end_is_an_error():
    server = Server(ROOT / "model_repository")
    server._process = SimpleNamespace(poll=lambda: -9, returncode=-9)
    server.check_running(may_crash=True)
    with pytest.raises(ServerNotRunning, match="status -9"):
        server.check_running()
    server._process = SimpleNamespace(poll=lambda: 1, returncode=1)
    with pytest.raises(ServerNotRunning, match="status 1"):
        server.check_running(may_crash=True)


def test_the_watch_outlives_an_error_of_any_class(monkeypatch):
    lines = []
    watchdog = Watchdog(SimpleNamespace(), report=lines.append)

    def check():
        if lines:
            watchdog.stopping.set()
        else:
            raise TimeoutExpired(["ldd"], 30)

    monkeypatch.setattr(watchdog, "check", check)
    watchdog._watch()
    assert lines == ["watchdog: this check failed: Command '['ldd']' timed out after 30 seconds"]


def test_the_abandoned_directory_of_another_user_is_left_alone(tmp_path, monkeypatch):
    """It could name any file as one to delete."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    directory, file = tmp_path / "convai-server-of-another", tmp_path / "mine"
    directory.mkdir()
    (directory / "lock").touch()
    (directory / "regions").write_text(str(file))
    file.touch()
    os.utime(directory, (0, 0))
    with monkeypatch.context() as patch:
        patch.setattr(runtime_directory.os, "getuid", lambda: directory.stat().st_uid + 1)
        runtime_directory.clear_abandoned()
    assert file.exists() and directory.exists()


def make_container(folder, release):
    (folder / "bin").mkdir()
    (folder / "bin" / "tritonserver").touch()
    shutil.copytree(find_triton().python_backend, folder / "backends" / "python")
    (folder / "backends" / "python" / "triton_python_backend_stub").touch()
    (folder / "TRITON_VERSION").write_text(f"{release}\n")


@pytest.mark.parametrize(
    ("release", "has_wheel", "is_of_wheel"),
    [("2.51.0", True, True), ("2.60.0", True, False), ("2.51.0", False, False)],
)
def test_the_container_uses_the_stub_of_a_wheel_of_the_same_release(
    tmp_path, monkeypatch, release, has_wheel, is_of_wheel
):
    wheel = find_triton(tmp_path / "nowhere")
    make_container(tmp_path, release)
    if not has_wheel:
        monkeypatch.setattr(tritonserver, "find_wheel", lambda: None)

    triton = find_triton(tmp_path)

    assert triton.home == tmp_path
    assert triton.stub == (wheel.stub if is_of_wheel else tmp_path / "backends/python/triton_python_backend_stub")


def test_without_triton_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(tritonserver, "find_wheel", lambda: None)
    with pytest.raises(FileNotFoundError, match="Triton is not installed: .*; install convai's extra 'cpu'"):
        find_triton(tmp_path / "nowhere")


def test_our_engines_replace_only_the_backends_that_triton_lacks(tmp_path):
    home, native = tmp_path / "home", tmp_path / "home" / "backends" / "onnxruntime"
    (home / "bin").mkdir(parents=True)
    native.mkdir(parents=True)
    (home / "bin" / "tritonserver").touch()
    (native / "libtriton_onnxruntime.so").touch()
    (home / "backends" / "python").symlink_to(find_triton().python_backend)
    prepared = tmp_path / "prepared"

    prepare_backends(TritonFiles(home, find_triton().stub), prepared)

    assert (prepared / "onnxruntime").resolve() == native
    assert (prepared / "openvino" / "model.py").is_file()
    assert (prepared / "pytorch" / "model.py").is_file()
    assert not (prepared / "python" / "libtriton_python.so").is_symlink()


class FakeControl:
    def ready_models(self):
        return [ENSEMBLE]

    def infer(self, model, inputs, outputs, timeout_seconds):
        raise ControlError(f"{model}: out of memory")


def test_a_failed_warm_up_is_printed_and_does_not_stop_the_server(capsys):
    warm_up(FakeControl())
    assert capsys.readouterr().err == f"warm-up: {ENSEMBLE}: out of memory\n"


def test_tf32_is_off_unless_the_environment_turns_it_on(monkeypatch):
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    assert server_variables()["NVIDIA_TF32_OVERRIDE"] == "0"
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert server_variables()["NVIDIA_TF32_OVERRIDE"] == "1"


@pytest.mark.parametrize(
    ("found", "features", "variables"),
    [
        ("Prescott", {"AVX512_SKX": True, "FMA3": True}, {"OPENBLAS_CORETYPE": "SkylakeX"}),
        ("Prescott", {"AVX512_SKX": False, "FMA3": True}, {"OPENBLAS_CORETYPE": "Haswell"}),
        ("Prescott", {}, {}),
        ("Zen", {"FMA3": True}, {}),
    ],
)
def test_a_processor_that_openblas_does_not_know_gets_kernels_of_its_instructions(
    found, features, variables, monkeypatch
):
    monkeypatch.setattr(tritonserver, "read_openblas_core", lambda library: found)
    monkeypatch.setattr("numpy.core._multiarray_umath.__cpu_features__", features)
    assert tritonserver.choose_openblas_kernels() == variables
