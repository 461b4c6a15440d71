"""A guarded server at work: TLS, keys that change under it, limits, and nothing secret anywhere it writes."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from headrace.platform.settings import FILE_NAME
from headrace.server.security.keys_file import new_key, revoke_key, rotate_key
from headrace.types import DAY
from tests.unit.server.security.signing import AUDIENCE, ISSUER, public_jwk, token, write_certificate, write_key_set

ROOT = Path(__file__).parents[2]
PASSWORD = "a-password-that-nobody-may-see"
TABLE = f"""
name = "city"
[serve]
token_keys = "jwks.json"
token_issuer = "{ISSUER}"
token_audience = "{AUDIENCE}"
tls_cert = "cert.pem"
tls_key = "key.pem"
requests_per_second = 20
burst = 40
most_body_bytes = 1000
"""


def now() -> int:
    return time.time_ns() // 1_000


@dataclass(slots=True)
class Guarded:
    """A server at work, all that it answered, and the secrets that it was sent."""

    process: subprocess.Popen[str]
    client: httpx.Client
    root: Path
    log: Path
    spare: list[tuple[str, str]]
    answers: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    @property
    def keys(self) -> Path:
        return self.root / "keys.json"

    def key(self) -> tuple[str, str]:
        """A key that may read all services, and that nothing else uses: its id and itself."""
        return self.spare.pop()

    def ask(self, secret: str | None, path: str = "/read", service: str | None = None, **more: Any) -> httpx.Response:
        """Ask with a key or a token."""
        headers = {**({"Authorization": f"Bearer {secret}"} if secret else {}), **more.pop("headers", {})}
        parameters = {"service": service} if service else {}
        response = self.client.post(path, params=parameters, headers=headers, **more)
        self.answers.append(f"{response.headers}{response.text}")
        return response

    def until(self, status: int, secret: str, service: str | None = None) -> float:
        """Ask until the status is that: how many seconds it took."""
        began = time.monotonic()
        while self.ask(secret, service=service).status_code != status:
            assert time.monotonic() - began < 5
            time.sleep(0.1)
        return time.monotonic() - began


def _new(root: Path, services: list[str] | None = None) -> tuple[str, str]:
    kept, secret = new_key(root / "keys.json", now(), rights=["read"], services=services)
    return kept.id, secret


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    root = tmp_path_factory.mktemp("guarded")
    (root / FILE_NAME).write_text(TABLE)
    cert, _ = write_certificate(root)
    write_key_set(root)
    spare = [_new(root) for _ in range(12)]
    log = root / "log"
    with log.open("w") as errors, subprocess.Popen(
        [sys.executable, "-m", "tests.integration.guarded_child", str(root)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "HEADRACE_SERVE_TLS_KEY_PASSWORD": PASSWORD},
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            assert port, log.read_text()
            trust = ssl.create_default_context(cafile=cert)
            with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trust, timeout=10) as client:
                yield Guarded(process, client, root, log, spare, secrets={PASSWORD, *(secret for _, secret in spare)})
        finally:
            process.kill()


def test_a_key_and_a_token_are_answered_over_tls(guarded: Guarded) -> None:
    key_id, secret = guarded.key()
    assert guarded.ask(secret, service="eta_model").json() == {"caller": key_id, "kind": "key"}
    signed = token()
    guarded.secrets.add(signed)
    assert guarded.ask(signed, service="eta_model").json() == {"caller": "eta-service", "kind": "token"}


def test_without_tls_nothing_is_answered(guarded: Guarded) -> None:
    with pytest.raises(httpx.HTTPError):
        httpx.get(str(guarded.client.base_url).replace("https", "http"), timeout=2)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        httpx.get(str(guarded.client.base_url), verify=old, timeout=2)


def test_what_is_not_allowed_is_told(guarded: Guarded) -> None:
    key_id, secret = _new(guarded.root, services=["eta_model"])
    guarded.secrets.add(secret)
    guarded.until(200, secret, service="eta_model")
    answer = guarded.ask(secret, service="fraud")
    assert answer.status_code == 403
    assert answer.json()["error"] == {
        "type": "ForbiddenError",
        "message": f"the key '{key_id}' may read (services eta_model), and not the service 'fraud'.",
    }
    assert guarded.ask(secret, "/push").status_code == 403
    nobody = guarded.ask(None)
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"].startswith("Bearer")


def test_a_key_is_rotated_without_a_restart_and_a_revoked_one_ends_within_a_second(guarded: Guarded) -> None:
    old, old_secret = guarded.key()
    _, new_secret = rotate_key(guarded.keys, old, now(), overlap_us=DAY)
    guarded.secrets.add(new_secret)
    guarded.until(200, new_secret)
    assert guarded.ask(old_secret).status_code == 200
    revoke_key(guarded.keys, old, now())
    assert guarded.until(401, old_secret) < 1.5
    assert guarded.ask(new_secret).status_code == 200
    assert guarded.process.poll() is None


def test_a_damaged_file_of_keys_leaves_those_in_force_and_is_told(guarded: Guarded) -> None:
    _, secret = guarded.key()
    kept = guarded.keys.read_bytes()
    guarded.keys.write_text(f'{{"keys": "{secret}"}}')
    time.sleep(1.1)
    assert guarded.ask(secret).status_code == 200
    assert "What was read before stays in force" in guarded.log.read_text()
    guarded.keys.write_bytes(kept)


def test_an_identity_providers_key_is_replaced_without_a_restart(guarded: Guarded) -> None:
    old, other = token("RS256"), token("EdDSA")
    guarded.secrets |= {old, other}
    assert guarded.ask(old, service="eta_model").status_code == 200
    write_key_set(guarded.root, public_jwk("EdDSA"))
    assert guarded.until(401, old, service="eta_model") < 1.5
    assert guarded.ask(other, service="eta_model").status_code == 200
    write_key_set(guarded.root)


def test_too_many_requests_are_told_when_to_come_again(guarded: Guarded) -> None:
    _, secret = guarded.key()
    _, other = guarded.key()
    answers = [guarded.ask(secret) for _ in range(80)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[-1].headers["retry-after"] == "1"
    assert refused[-1].json()["error"]["type"] == "RateLimitedError"
    assert guarded.ask(other).status_code == 200
    time.sleep(1)
    assert guarded.ask(secret).status_code == 200


def test_a_long_body_is_refused(guarded: Guarded) -> None:
    _, secret = guarded.key()
    assert guarded.ask(secret, content=b"x" * 1_000).status_code == 200
    assert guarded.ask(secret, content=b"x" * 1_001).status_code == 413


def test_another_sites_page_is_refused(guarded: Guarded) -> None:
    _, secret = guarded.key()
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert guarded.ask(secret, headers=headers).status_code == 403
    assert guarded.ask(secret, headers={"Origin": str(guarded.client.base_url).rstrip("/")}).status_code == 200


def test_wrong_keys_and_tokens_and_a_defect_while_one_is_in_hand(guarded: Guarded) -> None:
    _, secret = guarded.key()
    signed = token(headrace={"rights": ["read"]})
    wrong = [
        secret[:-1], secret + "x", secret.replace("hr_", "hr_0"), token(aud="other"), token(exp=1), signed + "x",
        token(headers={"kid": "none-of-them"}), token(sub="x\ny"),
    ]  # fmt: skip
    guarded.secrets |= {signed, *wrong}
    for each in wrong:
        assert guarded.ask(each).status_code in {401, 429}
        assert guarded.ask(None, headers={"Authorization": f"Basic {each}"}).status_code in {401, 429}
    assert guarded.ask(secret, headers={"X-API-Key": signed}).status_code in {401, 429}
    for each in (secret, signed):
        assert guarded.ask(each, "/broken").status_code == 500
    assert "Traceback" in guarded.log.read_text()


def test_nothing_secret_is_in_what_it_wrote_and_a_killed_server_has_noted_all_but_the_last_second(
    guarded: Guarded,
) -> None:
    key_id, secret = guarded.key()
    for _ in range(5):
        assert guarded.ask(secret, service="last").status_code == 200
    time.sleep(1)
    guarded.process.send_signal(signal.SIGKILL)
    guarded.process.wait(5)
    noted = (guarded.root / "audit" / "requests.jsonl").read_text()
    lines = [json.loads(line) for line in noted.splitlines()]
    assert [line["rows"] for line in lines if line["caller"] == key_id and line["service"] == "last"] == [10] * 5
    assert {line["status"] for line in lines} >= {200, 401, 403, 429}
    written = [guarded.log.read_text(), noted, *guarded.answers]
    for hidden in guarded.secrets:
        for part in _telling(hidden):
            assert not any(part in text for text in written)


def _telling(secret: str) -> list[str]:
    """The parts of a key or a token that nobody may see: not its id, nor a header that all tokens have."""
    if secret.startswith("hr_"):
        return [secret, secret[16:-1]]
    return [secret, *secret.split(".")[1:]]
