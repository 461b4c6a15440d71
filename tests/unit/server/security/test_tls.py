"""TLS from files that are looked at first, and again when they change."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from headrace.errors import SettingsError
from headrace.server.security.settings import SecuritySettings
from headrace.server.security.tls import Certificate, tls_of
from tests.unit.server.security.signing import Clock, private_key, write_certificate

SETTINGS = SecuritySettings(tls_cert="cert.pem", tls_key="key.pem")


def presented(context: ssl.SSLContext) -> bytes:
    """The certificate that a client is shown: a handshake in memory."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
    client, server = asking.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() in {"TLSv1.2", "TLSv1.3"}
    return client.getpeercert(binary_form=True) or b""


def der(cert: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(cert.read_text())


def test_without_a_certificate_there_is_none(tmp_path: Path) -> None:
    assert tls_of(SecuritySettings(), tmp_path) is None


def test_older_versions_are_not_spoken(tmp_path: Path) -> None:
    cert, _ = write_certificate(tmp_path)
    context = tls_of(SETTINGS, tmp_path)
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert presented(context) == der(cert)


def test_new_files_are_taken_for_new_connections(tmp_path: Path) -> None:
    clock = Clock(0.0)
    write_certificate(tmp_path)
    certificate = Certificate(SETTINGS, tmp_path, clock.ticks)
    (tmp_path / "key.pem").unlink()
    cert, _ = write_certificate(tmp_path)
    certificate.look()
    assert presented(certificate.context) != der(cert)
    clock.seconds += 1
    certificate.look()
    assert presented(certificate.context) == der(cert)


def test_a_half_replaced_pair_is_told_and_not_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(0.0)
    cert, key = write_certificate(tmp_path)
    before, old_key = der(cert), key.read_bytes()
    certificate = Certificate(SETTINGS, tmp_path, clock.ticks)
    _, key = write_certificate(tmp_path)
    new_key = key.read_bytes()
    key.write_bytes(old_key)
    clock.seconds += 1
    certificate.look()
    assert "stays in use" in caplog.text
    assert presented(certificate.context) == before
    key.write_bytes(new_key)
    clock.seconds += 1
    certificate.look()
    assert presented(certificate.context) == der(cert)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620])
def test_a_key_that_others_may_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    write_certificate(tmp_path)[1].chmod(mode)
    with pytest.raises(SettingsError, match="chmod 600"):
        tls_of(SETTINGS, tmp_path)


def test_missing_and_wrong_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"tls_key: .*key.pem can't be read"):
        tls_of(SETTINGS, tmp_path)
    cert, _ = write_certificate(tmp_path)
    cert.unlink()
    with pytest.raises(SettingsError, match=r"tls_cert: .*cert.pem is not there"):
        tls_of(SETTINGS, tmp_path)
    cert.write_text("nothing")
    with pytest.raises(SettingsError, match="in PEM form"):
        tls_of(SETTINGS, tmp_path)


def test_a_key_with_a_password(tmp_path: Path) -> None:
    _, key = write_certificate(tmp_path)
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"hunter2")
    form = serialization.PrivateFormat.PKCS8
    key.write_bytes(plain.private_bytes(serialization.Encoding.PEM, form, locked))
    for password in ("", "wrong-one"):
        with pytest.raises(SettingsError, match="TLS_KEY_PASSWORD") as told:
            tls_of(SecuritySettings(tls_cert="cert.pem", tls_key="key.pem", tls_key_password=password), tmp_path)
        assert "wrong-one" not in str(told.value)
    right = SecuritySettings(tls_cert="cert.pem", tls_key="key.pem", tls_key_password="hunter2")
    assert tls_of(right, tmp_path) is not None


def test_a_certificate_and_a_key_that_do_not_belong_together(tmp_path: Path) -> None:
    _, key = write_certificate(tmp_path)
    plain, form = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
    key.write_bytes(private_key("ES256").private_bytes(serialization.Encoding.PEM, form, plain))
    with pytest.raises(SettingsError, match="no certificate and its private key"):
        tls_of(SETTINGS, tmp_path)
