import os
import signal
import time
import urllib.request
from pathlib import Path

import pytest
import tritonclient.grpc as triton
import trustme
from support.tiny_repository import write_repository
from tritonclient.utils import InferenceServerException

from convai.backends.management.control import ADMIN_HEADER, ControlClient, ControlError
from convai.backends.management.launcher import Server, ServerNotRunning, ServerTls
from convai.backends.management.processes import SHARED_MEMORY, is_zombie, process_ids, regions_of, status_of, stubs_of


@pytest.fixture
def repository(tmp_path):
    return write_repository(tmp_path / "repository")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(write_repository(tmp_path_factory.mktemp("tiny")), models=["amplifier"]) as server:
        yield server


def is_gone(server_pid, regions):
    """Whether neither processes nor shared memory are left of a server; the kernel may need a moment."""
    for _ in range(50):
        processes = [pid for pid in process_ids() if group_of(pid) == server_pid and not is_zombie(pid)]
        files = [name for name in regions if (SHARED_MEMORY / name).exists()]
        if not processes and not files:
            return True
        time.sleep(0.1)
    return False


def group_of(pid):
    return int((status_of(pid) or [0, 0, 0])[2])


def test_only_the_chosen_models_are_loaded(server):
    assert server.control.models() == {"amplifier": "READY"}


def test_metrics_are_served_where_the_server_says(server):
    with urllib.request.urlopen(server.metrics_url, timeout=10) as answer:
        assert b"nv_inference_count" in answer.read()


def test_control_needs_the_key_over_http(server):
    with pytest.raises(ControlError, match="403"):
        ControlClient(server.http_address, "a guess").load("amplifier")


@pytest.mark.parametrize(
    "call",
    [
        lambda client, **given: client.unload_model("amplifier", **given),
        lambda client, **given: client.get_system_shared_memory_status(**given),
        lambda client, **given: client.update_trace_settings(settings={}, **given),
        lambda client, **given: client.update_log_settings({"log_verbose_level": 1}, **given),
    ],
)
def test_restricted_protocols_need_the_key_over_grpc(server, call):
    with triton.InferenceServerClient(server.grpc_address) as client:
        with pytest.raises(InferenceServerException, match="This protocol is restricted"):
            call(client)


def test_the_key_opens_restricted_protocols_over_grpc(server):
    headers = {f"triton-grpc-protocol-{ADMIN_HEADER}": server.control.admin_key}
    with triton.InferenceServerClient(server.grpc_address) as client:
        assert client.get_model_repository_index(headers=headers).models


def test_statistics_are_open_to_all(server):
    with triton.InferenceServerClient(server.grpc_address) as client:
        assert client.get_inference_statistics("amplifier").model_stats


def test_a_taken_port_is_refused_before_anything_starts(server):
    with pytest.raises(OSError, match=f"127.0.0.1:{server.grpc_port} is not available.*--grpc-port"):
        Server(server.model_repository, grpc_port=server.grpc_port)


def test_mutual_tls_admits_only_clients_with_a_certificate(repository, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    authority = trustme.CA()
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "server", "server_key", "client", "client_key")}
    authority.cert_pem.write_to_path(files["ca"])
    for name in ("server", "client"):
        certificate = authority.issue_cert("localhost")
        certificate.cert_chain_pems[0].write_to_path(files[name])
        certificate.private_key_pem.write_to_path(files[f"{name}_key"])
    own = {"private_key": str(files["client_key"]), "certificate_chain": str(files["client"])}
    tls = ServerTls(Path("server.pem"), Path("server_key.pem"), Path("ca.pem"))

    with Server(repository, models=["amplifier"], tls=tls) as server:
        address = f"localhost:{server.grpc_port}"
        with triton.InferenceServerClient(address, ssl=True, root_certificates=str(files["ca"]), **own) as client:
            assert client.is_server_ready(client_timeout=10)
        for options in ({}, {"ssl": True, "root_certificates": str(files["ca"])}):
            with triton.InferenceServerClient(address, **options) as client:
                with pytest.raises(InferenceServerException):
                    client.is_server_ready(client_timeout=5)


def test_a_missing_tls_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="key.pem does not exist"):
        ServerTls(Path(__file__), tmp_path / "key.pem")


def test_a_missing_network_is_named_with_the_command_that_makes_it(repository):
    (repository / "lookup" / "1" / "model.onnx").unlink()

    with pytest.raises(
        ServerNotRunning, match="lookup/1/model.onnx is missing from the model repository; `convai export`"
    ):
        Server(repository, models=["lookup"]).start()


def test_a_wrong_parameter_is_named_with_its_step(repository):
    config = repository / "amplifier" / "config.pbtxt"
    config.write_text(config.read_text().replace('key: "gain"', 'key: "gian"'))

    with pytest.raises(ServerNotRunning, match="amplifier: parameter gian is unknown; expected one of gain"):
        Server(repository, models=["amplifier"]).start()


def test_a_profile_that_some_model_lacks_is_refused_with_those_that_all_have(repository):
    for model in ("amplifier", "lookup", "halver"):
        (repository / model / "configs").mkdir()
        (repository / model / "configs" / "gpu.pbtxt").write_text((repository / model / "config.pbtxt").read_text())

    with pytest.raises(ValueError, match="profile 'gpu' has no configuration for chain; .* every model has: cpu"):
        Server(repository, profile="gpu")


def test_a_profile_replaces_the_configuration(repository):
    default = (repository / "amplifier" / "config.pbtxt").read_text()
    for model in ("amplifier", "lookup", "halver", "chain"):
        (repository / model / "configs").mkdir()
        (repository / model / "configs" / "wide.pbtxt").write_text((repository / model / "config.pbtxt").read_text())
    (repository / "amplifier" / "configs" / "wide.pbtxt").write_text(default.replace("count: 2", "count: 3"))

    with Server(repository, profile="wide", models=["amplifier"]) as server:
        assert len(stubs_of(server.process.pid)) == 3


def test_an_absent_repository_is_refused_with_the_flag_that_names_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="--model-repository"):
        Server(tmp_path / "nowhere")


def test_stopping_leaves_nothing_even_after_a_stub_was_killed(repository):
    with Server(repository, models=["amplifier"]) as server:
        pid, regions = server.process.pid, regions_of(server.process.pid)
        os.kill(stubs_of(pid)[0].pid, signal.SIGKILL)

    assert len(regions) == 2  # one for each instance
    assert is_gone(pid, regions)


def test_a_killed_server_is_noticed_and_leaves_nothing(repository):
    with Server(repository, models=["amplifier"]) as server:
        pid, regions = server.process.pid, regions_of(server.process.pid)
        server.process.kill()
        server.process.wait(10)
        with pytest.raises(ServerNotRunning, match="tritonserver ended with status -9"):
            server.check_running()

    assert is_gone(pid, regions)
