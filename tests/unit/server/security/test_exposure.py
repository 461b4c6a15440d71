"""What others can reach asks who they are and has TLS, or does not start."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from headrace.errors import SettingsError
from headrace.server.security.exposure import check_exposed, is_loopback
from headrace.server.security.keys_file import new_key, revoke_key
from headrace.server.security.settings import SecuritySettings
from tests.unit.server.security.signing import token_settings

NOW = time.time_ns() // 1_000
TLS: dict[str, Any] = {"tls_cert": "cert.pem", "tls_key": "key.pem"}


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_this_machines_own_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "0.0.0.0",
        "::",
        "",
        "10.0.0.1",
        "192.168.1.2",
        "::ffff:10.0.0.1",
        "127.0.0.1.example.com",
        "localhost.x",
        "fe80::1%lo",
    ],
)
def test_addresses_that_others_can_reach(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("has_key", "settings", "missing"),
    [
        (False, {}, ["does not ask who", "on the way"]),
        (True, {}, ["on the way"]),
        (False, TLS, ["does not ask who"]),
        (True, TLS, []),
        (True, {"behind_proxy": True}, []),
        (False, {"behind_proxy": True}, ["does not ask who"]),
        (False, {"insecure": True}, []),
        (False, {"token_keys": "jwks.json"}, ["on the way"]),
        (False, {"token_keys": "jwks.json", **TLS}, []),
    ],
)
def test_what_starts_beyond_this_machine(
    tmp_path: Path, has_key: bool, settings: dict[str, Any], missing: list[str]
) -> None:
    if has_key:
        new_key(tmp_path / "keys.json", NOW, rights=["read"])
    wanted = token_settings(**settings) if "token_keys" in settings else SecuritySettings(**settings)
    check_exposed("127.0.0.1", wanted, tmp_path, NOW)
    if not missing:
        check_exposed("0.0.0.0", wanted, tmp_path, NOW)
        return
    for host in ("0.0.0.0", "::", "10.1.2.3", "features.internal"):
        with pytest.raises(SettingsError) as told:
            check_exposed(host, wanted, tmp_path, NOW)
        assert f"others can reach {host}, so this does not start" in str(told.value)
        assert all(words in str(told.value) for words in missing)
        assert "--insecure" in str(told.value)


def test_a_key_that_has_ended_is_none(tmp_path: Path) -> None:
    key, _ = new_key(tmp_path / "keys.json", NOW, rights=["read"])
    revoke_key(tmp_path / "keys.json", key.id, NOW)
    with pytest.raises(SettingsError, match="does not ask who"):
        check_exposed("0.0.0.0", SecuritySettings(**TLS), tmp_path, NOW + 1)


def test_insecure_is_told_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_exposed("0.0.0.0", SecuritySettings(insecure=True), tmp_path, NOW)
    assert "anybody may" in caplog.text
