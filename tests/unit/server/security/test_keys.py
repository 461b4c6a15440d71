"""A key is recognised, and nothing that is kept of it gives it away."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import SettingsError
from headrace.server.security.keys import KEY_LENGTH, Key, KeyRing, KeysFile, described, new_secret
from headrace.types import instant


def made(**other: Any) -> tuple[Key, str]:
    key_id, secret, sha256 = new_secret()
    given = {"id": key_id, "sha256": sha256, "rights": ["read"], "created_at": "2026-01-05T08:00:00Z", **other}
    return msgspec.convert(given, Key), secret


def test_a_key_is_found_by_its_id_and_compared_by_its_hash() -> None:
    (key, secret), (other, _) = made(), made()
    found = KeyRing([other, key]).find(secret)
    assert found is not None
    assert found.caller.name == key.id
    assert len(secret) == KEY_LENGTH
    assert key.sha256 == hashlib.sha256(secret.encode()).hexdigest()


def test_keys_are_random() -> None:
    assert len({new_secret()[1] for _ in range(100)}) == 100


@pytest.mark.parametrize("place", [0, 5, 20, KEY_LENGTH - 1])
def test_one_wrong_character_anywhere_is_no_key(place: int) -> None:
    key, secret = made()
    wrong = secret[:place] + ("x" if secret[place] != "x" else "y") + secret[place + 1 :]
    assert KeyRing([key]).find(wrong) is None
    assert KeyRing([key]).find(secret[:-1]) is None
    assert KeyRing([key]).find(secret + "A") is None


@given(st.text())
def test_what_is_no_key_is_none(text: str) -> None:
    key, secret = made()
    ring = KeyRing([key])
    assert ring.find(text) is None
    assert ring.find((secret[:15] + "_" + text + "x" * KEY_LENGTH)[:KEY_LENGTH]) is None


def test_each_is_compared_in_constant_time_though_its_id_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    (key, secret), (_, stranger) = made(), made()
    ring = KeyRing([key])
    assert ring.find(secret) is not None
    assert ring.find(stranger) is None
    assert ring.find(secret[:-1] + ("A" if secret[-1] != "A" else "B")) is None
    assert len(compared) == 3
    assert all(len(one) == len(other) == 32 for one, other in compared)


def test_neither_keys_nor_what_is_kept_of_them_shows_the_secret_or_its_hash_by_accident() -> None:
    key, secret = made()
    ring = KeyRing([key])
    shown = repr(ring.find(secret)) + repr(ring) + str(described(key, 0))
    assert secret[16:] not in shown
    assert key.sha256 not in shown
    assert secret not in repr(key)


def test_a_key_ends_with_its_expiry_or_its_revocation() -> None:
    now = instant("2026-01-06T00:00:00Z")
    assert made()[0].state(now) == "valid"
    assert made(expires_at="2026-01-06T00:00:00Z")[0].state(now) == "expired"
    assert made(expires_at="2026-01-06T00:00:01Z")[0].state(now) == "valid"
    revoked = made(expires_at="2026-01-07T00:00:00Z", revoked_at="2026-01-05T09:00:00Z")[0]
    assert revoked.state(now) == "revoked"
    assert revoked.ends_us == instant("2026-01-05T09:00:00Z")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": "x"}, "hexadecimal"), ({"sha256": "00"}, "hexadecimal"), ({"rights": []}, "length >= 1"),
        ({"rights": ["anyone"]}, "Invalid enum value"), ({"services": "all"}, "Expected `array | null`"),
        ({"expires_at": "soon"}, "soon"), ({"secret": "x"}, "unknown field `secret`"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_the_reason(change: dict[str, Any], told: str) -> None:
    plain = {**msgspec.to_builtins(made()[0]), **change}
    with pytest.raises(SettingsError, match=told):
        KeyRing.parse(msgspec.json.encode({"version": 1, "keys": [plain]}))


@given(st.binary())
def test_any_bytes_are_keys_or_refused(content: bytes) -> None:
    with pytest.raises(SettingsError, match="damaged"):
        KeyRing.parse(content)


def test_an_id_is_there_once() -> None:
    key, _ = made()
    with pytest.raises(SettingsError, match="twice"):
        KeyRing.parse(msgspec.json.encode(KeysFile(1, [key, key])))
