import grpc
import numpy as np
import pytest
import trustme
from support.fake_triton import FakeTriton, serving

from convai.client import ConvaiClient, ServerUnreachable, Tls
from convai.errors import InvalidArgument

TRANSCRIPT = {"question": np.array([[b"what is he often called"]], np.object_)}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    """PEM files of a client: the authority, its certificate and key; and another authority."""
    folder = tmp_path_factory.mktemp("tls")
    client = authority.issue_cert("client@example.org")
    paths = {name: folder / f"{name}.pem" for name in ("root_ca", "certificate", "key", "other_ca")}
    authority.cert_pem.write_to_path(paths["root_ca"])
    client.cert_chain_pems[0].write_to_path(paths["certificate"])
    client.private_key_pem.write_to_path(paths["key"])
    trustme.CA().cert_pem.write_to_path(paths["other_ca"])
    return paths


def credentials(authority, mutual):
    server = authority.issue_cert("127.0.0.1")
    pair = (server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())
    return grpc.ssl_server_credentials([pair], authority.cert_pem.bytes() if mutual else None, mutual)


def transcribe(address, tls):
    with ConvaiClient(address, tls=tls, timeout_seconds=5) as client:
        return client.transcribe(np.zeros(1_600), sample_rate=16_000)


def test_a_server_with_a_known_authority_is_trusted_and_others_are_not(authority, files):
    with serving(FakeTriton(TRANSCRIPT), credentials(authority, mutual=False)) as address:
        assert transcribe(address, Tls(files["root_ca"])) == "what is he often called"
        for tls in (Tls(files["other_ca"]), None):
            with pytest.raises(ServerUnreachable):
                transcribe(address, tls)


def test_mutual_tls_lets_only_clients_with_a_certificate_in(authority, files):
    with serving(FakeTriton(TRANSCRIPT), credentials(authority, mutual=True)) as address:
        tls = Tls(files["root_ca"], files["certificate"], files["key"])
        assert transcribe(address, tls) == "what is he often called"
        with pytest.raises(ServerUnreachable):
            transcribe(address, Tls(files["root_ca"]))


def test_a_certificate_without_its_key_and_a_missing_file_are_rejected(files, tmp_path):
    with pytest.raises(InvalidArgument, match="certificate and key"):
        Tls(files["root_ca"], certificate=files["certificate"])
    with pytest.raises(InvalidArgument, match="root_ca.*nowhere.pem"):
        Tls(tmp_path / "nowhere.pem")
