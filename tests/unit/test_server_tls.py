"""Whether server and launcher would accept each other is known before the server starts."""

import pytest
import trustme

from convai.backends.management.tls import ServerTls
from convai.errors import InvalidArgument


@pytest.fixture
def write_files(tmp_path):
    """Write a certificate for the given names, its key and its authority; returns their paths."""
    folders = iter(range(10))

    def write(*names, **options):
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        authority = trustme.CA()
        certificate = authority.issue_cert(*names, **options)
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        return folder / "cert.pem", folder / "key.pem", folder / "ca.pem"

    return write


@pytest.mark.parametrize(
    ("names", "server_name"),
    [
        (["convai.example.org", "127.0.0.1"], "convai.example.org"),
        (["10.0.0.1"], "10.0.0.1"),
        (["*.a.org"], "any.a.org"),
    ],
)
def test_the_launcher_connects_under_a_name_of_the_certificate(write_files, names, server_name):
    cert, key, _ = write_files(*names)
    tls = ServerTls(cert, key).for_control()
    assert (tls.server_name, tls.cert, tls.key) == (server_name, None, None)


def test_with_mutual_tls_the_launcher_shows_the_servers_certificate_or_its_own(write_files):
    cert, key, ca = write_files("localhost")
    by_default = ServerTls(cert, key, ca).for_control()
    assert (by_default.cert, by_default.key) == (cert.read_bytes(), key.read_bytes())

    other_cert, other_key, other_ca = write_files("launcher")
    own = ServerTls(cert, key, other_ca, other_cert, other_key).for_control()
    assert (own.cert, own.key) == (other_cert.read_bytes(), other_key.read_bytes())


def test_a_certificate_of_another_authority_is_refused_before_the_server_starts(write_files):
    (cert, key, _), (_, _, other_ca) = write_files("localhost"), write_files("localhost")
    with pytest.raises(InvalidArgument, match="do not fit .*must have signed .*cert.pem, which convai itself shows"):
        ServerTls(cert, key, other_ca).for_control()


def test_a_key_of_another_certificate_is_refused(write_files):
    (cert, _, _), (_, other_key, _) = write_files("localhost"), write_files("localhost")
    with pytest.raises(InvalidArgument, match="do not fit"):
        ServerTls(cert, other_key).for_control()


def test_a_control_certificate_needs_its_key(write_files):
    cert, key, ca = write_files("localhost")
    with pytest.raises(InvalidArgument, match="belong together"):
        ServerTls(cert, key, ca, control_cert=cert)
