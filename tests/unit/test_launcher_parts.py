import mmap
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import pytest

from convai.backends.management import tritonserver
from convai.backends.management.ports import resolve_ports
from convai.backends.management.processes import SHARED_MEMORY, Stub, command_line, regions_of
from convai.backends.management.revival import load_targets
from convai.backends.management.run_folder import SECONDS_TO_LOCK, RunFolder, remove_abandoned
from convai.backends.management.server_log import networks, reasons
from convai.backends.management.tritonserver import (
    TritonFiles,
    check_stub,
    find_triton,
    prepare_backends,
    server_environment,
)

SLEEP = "import time; time.sleep(60)"
LOG = r"""I1122 18:46:55.700000 1 server.cc:300] "starting"
E1122 18:46:55.733981 1 server.cc:241] "CudaDriverHelper has not been initialized."
E1122 18:46:55.733990 1 backend_model.cc:692] "ERROR: Failed to create instance: ValueError: bert: no\n\nAt:\n  x.py(1)"
E1122 18:46:55.734041 1 lifecycle.cc:642] "failed to load 'bert' version 1: ValueError: bert: no\n\nAt:\n  x.py(1)"
error: creating server: Internal - failed to load all models
"""


def test_the_log_gives_the_reason_of_each_model_without_its_traceback():
    assert reasons(LOG) == "failed to load 'bert' version 1: ValueError: bert: no"


def test_without_a_failed_model_the_log_gives_the_last_word_of_the_server():
    assert reasons("error: creating server: Invalid argument - no") == "creating server: Invalid argument - no"
    assert reasons("I1122 18:46:55.700000 1 server.cc:300] fine") == "its log holds no error"


def test_a_request_that_failed_is_not_why_the_server_ended():
    assert reasons('E1122 20:02:29.8 16818 adapter.py:103] "bert: Traceback"') == "its log holds no error"


def test_port_zero_picks_free_ports_that_differ():
    ports = resolve_ports("127.0.0.1", {"--grpc-port": 0, "--http-port": 0, "--metrics-port": 0})

    assert len(set(ports)) == 3


def test_a_taken_port_is_refused_with_its_flag():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(OSError, match="is not available; choose another port with --http-port"):
            resolve_ports("127.0.0.1", {"--grpc-port": 0, "--http-port": taken.getsockname()[1]})


def test_one_port_cannot_serve_two_protocols():
    (port,) = resolve_ports("127.0.0.1", {"--grpc-port": 0})
    with pytest.raises(OSError, match=f"127.0.0.1:{port} is not available; choose another port with --http-port"):
        resolve_ports("127.0.0.1", {"--grpc-port": port, "--http-port": port})


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_out_of_range_is_refused(port):
    with pytest.raises(ValueError, match=rf"--grpc-port is {port}; allowed is 0 \(picks a free one\) to 65535"):
        resolve_ports("127.0.0.1", {"--grpc-port": port})


@pytest.mark.parametrize("host", ["192.0.2.1", "::1", "no host"])
def test_a_host_to_listen_on_that_is_not_this_machine_is_refused(host):
    with pytest.raises(
        OSError, match=f"{host} is not available .*; choose an IPv4 address of this machine with --host"
    ):
        resolve_ports(host, {"--grpc-port": 0})


def test_a_stub_tells_its_model():
    assert Stub(1, ("stub", "model.pt", "region", "1", "1", "7", "python", "3", "bert_qa_0_1")).model == "bert_qa"


def test_a_network_is_told_once_however_many_processes_announce_it():
    log = (
        "I1122 18:46:55.7 1 server.cc:300] fine\n"
        "network jasper: OpenVINO 1.2, BF16, 2 threads; 25 sizes warmed up in 0.5 s\n"
        "network bert: OpenVINO 1.2, FP32, 1 thread; 21 sizes warmed up in 0.5 s\n"
        "network bert: OpenVINO 1.2, FP32, 1 thread; 21 sizes warmed up in 0.6 s\n"
    )
    assert networks(log) == ["bert: OpenVINO 1.2, FP32, 1 thread", "jasper: OpenVINO 1.2, BF16, 2 threads"]
    assert networks("") == []


@pytest.mark.parametrize("backend", ["python", "pytorch", "onnxruntime", "openvino"])
def test_shared_memory_in_use_is_found_whatever_the_backend(backend):
    region = SHARED_MEMORY / f"triton_{backend}_backend_shm_region_of-a-test-{os.getpid()}"
    region.write_bytes(bytes(4096))
    with open(region, "rb") as file, mmap.mmap(file.fileno(), 4096, prot=mmap.PROT_READ):
        assert region.name in regions_of(os.getpid())
    region.unlink()


def test_a_single_model_is_loaded_by_itself_and_several_through_an_ensemble_of_them_all():
    ensembles = {"hear": {"jasper", "decoder"}, "all": {"jasper", "decoder", "bert"}}

    assert load_targets({"bert", "jasper"}, ensembles) == ["all"]
    assert load_targets({"bert", "stranger"}, ensembles) == ["bert", "stranger"]


def test_the_stub_of_this_python_can_start():
    check_stub(find_triton().stub, server_environment())


def test_a_stub_without_its_libraries_is_refused_before_triton_hangs_over_it(tmp_path):
    (tmp_path / "gone.c").write_text("int gone(void) { return 0; }")
    (tmp_path / "stub.c").write_text("int gone(void); int main(void) { return gone(); }")
    subprocess.run(["gcc", "-shared", "-o", "libgone.so", "gone.c"], cwd=tmp_path, check=True)
    subprocess.run(["gcc", "-o", "stub", "stub.c", "-L.", "-lgone"], cwd=tmp_path, check=True)
    (tmp_path / "libgone.so").unlink()

    with pytest.raises(FileNotFoundError, match="needs libgone.so, found nowhere"):
        check_stub(tmp_path / "stub", server_environment())


def test_a_stub_for_another_python_is_refused():
    with pytest.raises(OSError, match="runs Python 3.10 but convai is installed for 3.11|needs libpython3.10"):
        check_stub(find_triton().stub.parent.parent / "3.10" / "triton_python_backend_stub", server_environment())


def make_container(folder, release):
    (folder / "bin").mkdir()
    (folder / "bin" / "tritonserver").touch()
    shutil.copytree(find_triton().python_backend, folder / "backends" / "python")
    (folder / "backends" / "python" / "triton_python_backend_stub").touch()
    (folder / "TRITON_VERSION").write_text(f"{release}\n")


@pytest.mark.parametrize(("release", "from_wheel"), [("2.51.0", True), ("2.60.0", False)])
def test_the_container_gets_a_stub_for_this_python_if_it_has_the_release_of_the_wheel(tmp_path, release, from_wheel):
    wheel = find_triton(tmp_path / "nowhere")
    make_container(tmp_path, release)

    triton = find_triton(tmp_path)

    assert triton.home == tmp_path
    assert (triton.stub == wheel.stub) == from_wheel


def test_the_container_needs_no_wheel(tmp_path, monkeypatch):
    make_container(tmp_path, "2.51.0")
    monkeypatch.setattr(tritonserver, "find_wheel", lambda: None)

    assert find_triton(tmp_path).stub == tmp_path / "backends" / "python" / "triton_python_backend_stub"


def test_a_machine_without_triton_is_told_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(tritonserver, "find_wheel", lambda: None)
    with pytest.raises(FileNotFoundError, match=r"there is no Triton: .*; install convai\[cpu\]"):
        find_triton(tmp_path / "nowhere")


def test_an_incomplete_installation_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="bin/tritonserver is missing from the Triton installation"):
        TritonFiles(tmp_path, find_triton().stub)


def test_our_engines_stand_in_for_backends_that_triton_lacks(tmp_path):
    prepare_backends(find_triton(), tmp_path)

    assert (tmp_path / "onnxruntime" / "model.py").is_file()
    assert (tmp_path / "openvino" / "model.py").is_file()
    assert (tmp_path / "pytorch" / "model.py").is_file()
    assert not (tmp_path / "python" / "libtriton_python.so").is_symlink()


def test_backends_that_triton_brings_are_used_as_they_are(tmp_path):
    home, native = tmp_path / "home", tmp_path / "home" / "backends" / "onnxruntime"
    (home / "bin").mkdir(parents=True)
    native.mkdir(parents=True)
    (home / "bin" / "tritonserver").touch()
    (native / "libtriton_onnxruntime.so").touch()
    (home / "backends" / "python").symlink_to(find_triton().python_backend)

    prepare_backends(TritonFiles(home, find_triton().stub), tmp_path / "prepared")

    assert (tmp_path / "prepared" / "onnxruntime").resolve() == native
    assert (tmp_path / "prepared" / "pytorch" / "model.py").is_file()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A server's folder, old enough to be abandoned, that notes one shared memory file."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = RunFolder()
    region = f"triton_python_backend_shm_region_of-a-test-{os.getpid()}"
    (SHARED_MEMORY / region).touch()
    folder.note_regions({region})
    old = time.time() - 2 * SECONDS_TO_LOCK
    os.utime(folder.path, (old, old))
    yield folder
    folder.remove()
    assert not (SHARED_MEMORY / region).exists()


def test_what_a_killed_launcher_left_is_removed_by_the_next(folder):
    server = subprocess.Popen([sys.executable, "-c", SLEEP, f"--backend-directory={folder.backends}"])
    while not command_line(server.pid):  # for a moment a new process has no arguments yet
        assert server.poll() is None
    folder._lock.close()  # as the kernel does when a process dies
    remove_abandoned()

    assert server.wait(5) == -9
    assert not folder.path.exists()
    assert not any((SHARED_MEMORY / region).exists() for region in folder.regions)


def test_the_folder_of_a_living_launcher_is_left_alone(folder):
    remove_abandoned()

    assert folder.path.exists()
    assert all((SHARED_MEMORY / region).exists() for region in folder.regions)
