import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
import tritonclient.grpc as triton
import trustme
from support.convai_process import is_gone, wait_until
from support.tiny_repository import CONFIGS, write_repository
from tritonclient.utils import InferenceServerException

from convai.backends.management.control import ADMIN_HEADER, ControlClient, ControlError
from convai.backends.management.launcher import Server, ServerNotRunning
from convai.backends.management.processes import SHARED_MEMORY, command_line, regions_of, stubs_of
from convai.backends.management.runtime_directory import SECONDS_TO_LOCK, RuntimeDirectory, clear_abandoned
from convai.backends.management.shutdown import tcp_sockets_of
from convai.backends.management.tls import ServerTls


@pytest.fixture
def repository(tmp_path):
    return write_repository(tmp_path / "repository")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    repository = write_repository(tmp_path_factory.mktemp("tiny") / "r\u00e9pertoire")  # which a stub cannot open
    with Server(repository, models=["amplifier"]) as server:
        yield server


def test_only_the_chosen_models_are_loaded(server):
    assert server.control.models() == {"amplifier": "READY"}


def test_control_needs_the_key(server):
    with pytest.raises(ControlError, match="load amplifier: This protocol is restricted"):
        ControlClient(server.grpc_address, "a guess").load("amplifier")


def test_a_proxy_of_the_environment_is_not_used(server, monkeypatch):
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert server.control.is_ready()


def test_only_grpc_and_metrics_are_listened_on(server):
    ports = {each.laddr.port for each in tcp_sockets_of(server.process.pid) if each.status == "LISTEN"}
    assert ports == {server.grpc_port, server.metrics_port}


@pytest.mark.parametrize(
    "call",
    [
        lambda client, **given: client.unload_model("amplifier", **given),
        lambda client, **given: client.get_system_shared_memory_status(**given),
        lambda client, **given: client.update_trace_settings(settings={}, **given),
        lambda client, **given: client.update_log_settings({"log_verbose_level": 1}, **given),
    ],
)
def test_restricted_protocols_need_the_key(server, call):
    with triton.InferenceServerClient(server.grpc_address) as client:
        with pytest.raises(InferenceServerException, match="This protocol is restricted"):
            call(client)


def test_the_key_opens_restricted_protocols_and_statistics_need_none(server):
    headers = {f"triton-grpc-protocol-{ADMIN_HEADER}": server.control.admin_key}
    with triton.InferenceServerClient(server.grpc_address) as client:
        assert client.get_model_repository_index(headers=headers).models
        assert client.get_inference_statistics("amplifier").model_stats


def test_configurations_are_open_on_a_local_address(server):
    with triton.InferenceServerClient(server.grpc_address) as client:
        assert client.get_model_config("amplifier").config.name == "amplifier"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """PEM files of an authority, of a server and of a client, by name."""
    authority, folder = trustme.CA(), tmp_path_factory.mktemp("certificates")
    files = {name: folder / f"{name}.pem" for name in ("ca", "server", "server_key", "client", "client_key")}
    authority.cert_pem.write_to_path(files["ca"])
    for name in ("server", "client"):
        certificate = authority.issue_cert("localhost")
        certificate.cert_chain_pems[0].write_to_path(files[name])
        certificate.private_key_pem.write_to_path(files[f"{name}_key"])
    return files


@pytest.fixture(scope="module")
def public_server(tmp_path_factory, files):
    """A server of another profile that listens on all addresses and asks its clients for certificates."""
    repository = write_repository(tmp_path_factory.mktemp("public"))
    for model in CONFIGS:
        (repository / model / "configs").mkdir()
        default = (repository / model / "config.pbtxt").read_text()
        (repository / model / "configs" / "wide.pbtxt").write_text(default.replace("count: 2", "count: 3"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(files["ca"].parent)
        tls = ServerTls(Path("server.pem"), Path("server_key.pem"), Path("ca.pem"))
        with Server(repository, profile="wide", models=["amplifier"], host="0.0.0.0", tls=tls) as server:
            yield server


@pytest.fixture
def certified_client(public_server, files):
    own = {"private_key": str(files["client_key"]), "certificate_chain": str(files["client"])}
    address = f"localhost:{public_server.grpc_port}"
    with triton.InferenceServerClient(address, ssl=True, root_certificates=str(files["ca"]), **own) as client:
        yield client


def test_configurations_are_restricted_on_other_addresses(certified_client):
    with pytest.raises(InferenceServerException, match="This protocol is restricted"):
        certified_client.get_model_config("amplifier")


def test_mutual_tls_admits_only_clients_with_a_certificate(public_server, certified_client, files):
    assert certified_client.is_server_ready(client_timeout=10)
    for options in ({}, {"ssl": True, "root_certificates": str(files["ca"])}):
        with triton.InferenceServerClient(f"localhost:{public_server.grpc_port}", **options) as client:
            with pytest.raises(InferenceServerException):
                client.is_server_ready(client_timeout=5)


def test_with_mutual_tls_the_launcher_shows_the_servers_certificate_or_its_own(public_server, files):
    control = public_server.control
    own = ServerTls(files["server"], files["server_key"], files["ca"], files["client"], files["client_key"])
    for each in (control, replace(control, tls=own.for_control())):
        assert each.models() == {"amplifier": "READY"}


def test_a_profile_replaces_the_configuration(public_server):
    assert len(stubs_of(public_server.process.pid)) == 3


def test_a_missing_network_is_named_with_the_command_that_makes_it(repository):
    (repository / "lookup" / "1" / "model.onnx").unlink()

    with pytest.raises(ServerNotRunning, match="lookup/1/model.onnx is missing from the model repository; `convai "):
        Server(repository, models=["lookup"]).start()


def test_a_wrong_parameter_is_named_with_its_step(repository):
    config = repository / "amplifier" / "config.pbtxt"
    config.write_text(config.read_text().replace('key: "gain"', 'key: "gian"'))

    with pytest.raises(ServerNotRunning, match="amplifier: parameter gian is unknown; expected one of gain"):
        Server(repository, models=["amplifier"]).start()


def test_stopping_leaves_nothing_even_after_a_stub_was_killed(repository):
    with Server(repository, models=["amplifier", "lookup"]) as server:
        pid, regions = server.process.pid, regions_of(server.process.pid)
        os.kill(stubs_of(pid)[0].pid, signal.SIGKILL)

    assert len(regions) == 3  # two instances and one
    assert is_gone(pid, regions)


def test_a_killed_server_is_noticed_and_leaves_nothing(repository):
    with Server(repository, models=["amplifier"]) as server:
        pid, regions = server.process.pid, regions_of(server.process.pid)
        environments = (server.log_file.parent / "environments").read_text().split()
        server.process.kill()
        server.process.wait(10)
        with pytest.raises(ServerNotRunning, match="tritonserver ended with status -9"):
            server.check_running()

    assert is_gone(pid, regions)
    assert environments and not any(Path(environment).exists() for environment in environments)


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """A server's runtime directory, old enough to be abandoned, that records one shared memory file."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    directory = RuntimeDirectory()
    region = f"triton_python_backend_shm_region_of-a-test-{os.getpid()}"
    (SHARED_MEMORY / region).touch()
    directory.record_regions({region})
    old = time.time() - 2 * SECONDS_TO_LOCK
    os.utime(directory.path, (old, old))
    yield directory
    directory.remove()
    assert not (SHARED_MEMORY / region).exists()


def test_what_a_launcher_and_its_reaper_left_is_cleared_by_the_next_launcher(directory):
    sleep = [sys.executable, "-c", "import time; time.sleep(60)", f"--backend-directory={directory.backends}"]
    server = subprocess.Popen(sleep)
    wait_until(lambda: command_line(server.pid))  # for a moment a new process has no arguments yet
    directory._lock.close()  # as the kernel does when a process dies
    clear_abandoned()

    assert server.wait(5) == -9
    assert not directory.path.exists()
    assert not any((SHARED_MEMORY / region).exists() for region in directory.regions)


def test_the_directory_of_a_living_launcher_is_left_alone(directory):
    clear_abandoned()

    assert directory.path.exists()
    assert all((SHARED_MEMORY / region).exists() for region in directory.regions)
