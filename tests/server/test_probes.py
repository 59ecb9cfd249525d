"""The probes of deploy/kubernetes succeed while the server answers, and fail when it does not."""

import subprocess
import sys

import grpc
import pytest
import trustme
from support.places import ROOT

from convai.backends.management.launcher import Server
from convai.backends.management.tls import ServerTls

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra test")

SERVING = b"\x08\x01"  # HealthCheckResponse, status 1


def test_the_grpc_probe_of_kubernetes_is_answered(server):
    with grpc.insecure_channel(server.grpc_address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", lambda request: request, lambda response: response)
        assert check(b"", timeout=10) == SERVING


@pytest.fixture
def tls(tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    return ServerTls(tmp_path / "tls.crt", tmp_path / "tls.key")


def test_the_probe_over_tls_succeeds_while_the_server_answers(model_repository, tls, tmp_path):
    patch = yaml.safe_load((ROOT / "deploy/kubernetes/components/tls/deployment.yaml").read_text())
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    program, option, code = container["readinessProbe"]["exec"]["command"]
    assert program == "python"
    with Server(model_repository, tls=tls, models=["speech_features"]) as server:
        code = code.replace("localhost:8001", f"localhost:{server.grpc_port}").replace("/tls/", f"{tmp_path}/")
        probe = [sys.executable, option, code]
        assert subprocess.run(probe, timeout=60).returncode == 0
    assert subprocess.run(probe, timeout=60, stderr=subprocess.DEVNULL).returncode != 0
