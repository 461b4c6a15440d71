"""A token counts if the identity provider signed it, for here and now; nothing in it changes how it is checked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import SettingsError
from headrace.server.security.caller import Caller
from headrace.server.security.jwks import KeySet
from headrace.server.security.refusals import UnauthorizedError
from headrace.server.security.tokens import TokenRules, Tokens
from tests.unit.server.security.signing import (
    AUDIENCE,
    ISSUER,
    Clock,
    claims,
    private_key,
    public_jwk,
    public_pem,
    token,
    write_key_set,
)

RULES = TokenRules(ISSUER, AUDIENCE, ("RS256", "ES256", "EdDSA"), "headrace", 30)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Tokens:
    return Tokens(write_key_set(tmp_path), RULES, clock.ticks)


def told(tokens: Tokens, text: str) -> str:
    with pytest.raises(UnauthorizedError) as refused:
        tokens.caller(text, Clock().us())
    assert refused.value.__cause__ is None
    message = str(refused.value)
    assert not any(len(part) > 8 and part in message for part in text.split("."))
    return message


def part(content: Any) -> str:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_right_token_says_who_and_what(tokens: Tokens, algorithm: str) -> None:
    caller = tokens.caller(token(algorithm), Clock().us())
    assert caller == Caller("eta-service", "token", frozenset({"read"}), frozenset({"eta_model"}))


def test_it_may_name_several_audiences(tokens: Tokens) -> None:
    assert tokens.caller(token(aud=["other", AUDIENCE]), Clock().us()).name == "eta-service"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"nbf": int(time.time()) + 600}, "not valid yet"),
        ({"aud": "other"}, "its aud has to hold 'features'"),
        ({"iss": "https://id.example.com.evil.example"}, "another issuer"),
        ({"exp": None}, "no claim 'exp'"), ({"aud": None}, "no claim 'aud'"), ({"iss": None}, "no claim 'iss'"),
        ({"sub": None}, "no claim 'sub'"), ({"sub": ""}, "sub"), ({"sub": "a\nb"}, "sub"), ({"sub": "x" * 257}, "sub"),
        ({"exp": "soon"}, "malformed"), ({"exp": 1e400}, "malformed"), ({"exp": [1]}, "malformed"),
        ({"aud": 7}, "aud"),
    ],
)  # fmt: skip
def test_a_wrong_claim_is_refused(tokens: Tokens, change: dict[str, Any], reason: str) -> None:
    assert reason in told(tokens, token(**change))


def test_the_leeway_is_for_clocks_that_differ(tokens: Tokens) -> None:
    now = int(time.time())
    assert tokens.caller(token(exp=now - 20, nbf=now + 20), Clock().us()).kind == "token"


def test_without_a_signature_nothing_counts(tokens: Tokens) -> None:
    for alg in ("none", "None", "NONE", ""):
        for signature in ("", part(b"x")):
            told(tokens, f"{part({'alg': alg, 'kid': 'rs256'})}.{part(claims())}.{signature}")


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_public_key_is_no_secret_to_sign_with(tokens: Tokens, algorithm: str) -> None:
    jwk = public_jwk(algorithm)
    for secret in (public_pem(algorithm), public_pem(algorithm).strip(), json.dumps(jwk).encode()):
        signed = f"{part({'alg': 'HS256', 'kid': algorithm.lower()})}.{part(claims())}"
        signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        assert "its key is for" in told(tokens, f"{signed}.{part(signature)}")


def test_a_token_can_not_choose_another_algorithm_than_its_keys(tokens: Tokens) -> None:
    assert "its key is for RS256" in told(tokens, token("ES256", headers={"kid": "rs256"}))
    assert "its key is for ES256" in told(tokens, token("RS256", headers={"kid": "es256"}))
    assert "its key is for RS256" in told(tokens, jwt.encode(claims(), private_key("RS256"), "RS512", {"kid": "rs256"}))


@pytest.mark.parametrize(
    "kid",
    ["../../../../dev/null", "/dev/null", "file:///dev/null", "", "rs256\x00", "RS256", "' OR 1=1 --", "x" * 5_000],
)
def test_a_kid_is_looked_up_among_the_keys_and_nowhere_else(tokens: Tokens, kid: str) -> None:
    assert "names no key" in told(tokens, token(headers={"kid": kid}))


def test_a_kid_that_is_no_text_is_refused(tokens: Tokens) -> None:
    for kid in (7, ["es256"], {"a": 1}, None, True):
        told(tokens, f"{part({'alg': 'ES256', 'kid': kid})}.{part(claims())}.{part(b'x' * 64)}")


def test_keys_that_a_token_brings_along_are_not_used(tokens: Tokens) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    brought = {"jwk": public_jwk("ES256", own), "jku": "https://evil.example/jwks", "x5u": "https://evil.example"}
    assert "signature" in told(tokens, token(key=own, headers=brought))
    assert "names no key" in told(tokens, token(key=own, headers={**brought, "kid": None}))


def test_a_changed_token_is_refused(tokens: Tokens) -> None:
    head, _, signature = token().split(".")
    assert "signature" in told(tokens, f"{head}.{part(claims(sub='admin'))}.{signature}")
    assert "signature" in told(tokens, f"{head}.{part(claims())}.{part(b'0' * 64)}")
    told(tokens, f"{head}.{part(claims())}.")


def test_extensions_that_are_not_understood_are_refused(tokens: Tokens) -> None:
    told(tokens, token(headers={"crit": ["exp"], "exp": 0}))


def test_garbage_is_refused(tokens: Tokens) -> None:
    deep = b"[" * 100_000
    for text in (
        "", ".", "..", "...", "a.b.c", "é.é.é", "x" * 100_000, f"{part(deep)[:9_000]}.{part({})}.",
        f"{part([])}.{part([])}.", f"{part({'alg': 'ES256', 'kid': 'es256'})}.{part(b'9' * 5_000)}.",
        f"{part({'alg': 7})}.{part({})}.", f"{part({'alg': None, 'kid': 'es256'})}.{part(None)}.", "\ud800.\ud800.x",
    ):  # fmt: skip
        with pytest.raises(UnauthorizedError):
            tokens.caller(text, 0)


@given(
    st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "zip"]), st.none() | st.text() | st.integers())
)
def test_any_header_is_refused_without_another_error(tmp_path_factory: pytest.TempPathFactory, header: Any) -> None:
    tokens = Tokens(write_key_set(tmp_path_factory.mktemp("keys")), RULES, time.monotonic)
    with pytest.raises(UnauthorizedError):
        tokens.caller(f"{part(header)}.{part(claims())}.{part(b'x')}", 0)


def test_right_tokens_are_remembered_until_they_end_and_a_bounded_number(
    tokens: Tokens, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.server.security.tokens._MOST_REMEMBERED", 2)
    checked: list[str] = []
    real = jwt.decode

    def decode(text: str, *arguments: Any, **options: Any) -> Any:
        checked.append(text)
        return real(text, *arguments, **options)

    monkeypatch.setattr(jwt, "decode", decode)
    one = token(sub="one")
    assert tokens.caller(one, clock.us()) is tokens.caller(one, clock.us())
    assert len(checked) == 1
    for sub in ("two", "three"):
        tokens.caller(token(sub=sub), clock.us())
    assert len(tokens._known) == 2
    tokens.caller(one, clock.us())
    assert len(checked) == 4
    assert not any(one.encode() in digest for digest in tokens._known)


def test_a_remembered_token_ends_all_the_same(tokens: Tokens, clock: Clock) -> None:
    short = token(exp=int(clock.seconds) + 60)
    tokens.caller(short, clock.us())
    clock.seconds += 89
    tokens.caller(short, clock.us())
    clock.seconds += 2
    with pytest.raises(UnauthorizedError, match="expired"):
        tokens.caller(short, clock.us())


def test_a_key_that_is_taken_out_of_the_set_ends_its_tokens_within_a_second(
    tokens: Tokens, clock: Clock, tmp_path: Path
) -> None:
    known, other = token("ES256"), token("RS256")
    tokens.caller(known, clock.us())
    write_key_set(tmp_path, public_jwk("RS256"))
    tokens.caller(known, clock.us())
    clock.seconds += 1
    assert "names no key" in told(tokens, known)
    assert tokens.caller(other, clock.us()).kind == "token"


def test_without_a_kid_the_only_key_counts(tmp_path: Path, clock: Clock) -> None:
    tokens = Tokens(write_key_set(tmp_path, public_jwk("ES256")), RULES, clock.ticks)
    assert tokens.caller(token(headers={"kid": None}), clock.us()).kind == "token"


def refused(*jwks: dict[str, Any], algorithms: tuple[str, ...] = RULES.algorithms) -> str:
    with pytest.raises(SettingsError) as error:
        KeySet.parse(json.dumps({"keys": jwks}).encode(), algorithms)
    return str(error.value)


def test_a_key_set_has_no_secrets() -> None:
    assert "secret key" in refused({"kty": "oct", "k": "c2VjcmV0", "kid": "a"})
    assert "secret key" in refused(public_jwk("ES256", d="c2VjcmV0"))
    assert "c2VjcmV0" not in refused({"kty": "oct", "k": "c2VjcmV0"})


def test_a_key_set_has_keys_that_can_be_used() -> None:
    weak = public_jwk("RS256", rsa.generate_private_key(65_537, 1_024))
    assert "RSA key of 1024 bits" in refused(weak)
    assert "hold none" in refused()
    assert "hold none" in refused(public_jwk("ES256", use="enc"))
    assert "hold none" in refused(public_jwk("RS256"), algorithms=("ES256",))
    assert "hold none" in refused(public_jwk("RS256", alg="RS512"))
    assert "hold none" in refused(public_jwk("ES256", crv="P-384"))
    assert "same kid" in refused(public_jwk("RS256"), public_jwk("ES256", kid="rs256"))
    assert "can't be used" in refused(public_jwk("ES256", x="AAAA"))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"keys": 7}', b'{"keys": [7]}', b"\xff", b"[" * 100_000])
def test_what_is_no_key_set_is_told(content: bytes) -> None:
    with pytest.raises(SettingsError, match="no key set"):
        KeySet.parse(content, RULES.algorithms)


def test_keys_for_something_else_are_passed_over() -> None:
    listed = {"keys": [public_jwk("RS256", use="enc", kid="e"), {"kty": "new"}, public_jwk("ES256")]}
    found = KeySet.parse(json.dumps(listed).encode(), RULES.algorithms)
    assert list(found.named) == ["es256"]


def test_the_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is not there"):
        Tokens(tmp_path / "jwks.json", RULES, time.monotonic)
