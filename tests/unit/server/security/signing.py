"""An identity provider's keys and tokens, certificates, and a clock that is set by hand."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from headrace.server.security.guard import Guard, guard_of
from headrace.server.security.settings import SecuritySettings
from headrace.types import SECOND

ISSUER = "https://id.example.com"
AUDIENCE = "features"
JWKS = "jwks.json"


@dataclass(slots=True)
class Clock:
    """Now, which moves when told to: real at first, since tokens are checked by the machine's."""

    seconds: float = field(default_factory=time.time)

    def us(self) -> int:
        """Microseconds UTC."""
        return int(self.seconds * SECOND)

    def ticks(self) -> float:
        """Seconds that only grow."""
        return self.seconds


@cache
def private_key(algorithm: str) -> Any:
    """A private key; the same one each time."""
    if algorithm == "RS256":
        return rsa.generate_private_key(65_537, 2_048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def public_jwk(algorithm: str, key: Any = None, **more: Any) -> dict[str, Any]:
    """The public half as a member of a key set, its kid that of the algorithm in small letters."""
    forms: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}
    public = (key or private_key(algorithm)).public_key()
    jwk: dict[str, Any] = json.loads(forms[algorithm].to_jwk(public))
    jwk.pop("key_ops", None)
    return {**jwk, "kid": algorithm.lower(), **more}


def public_pem(algorithm: str) -> bytes:
    """The public half as text."""
    found: bytes = (
        private_key(algorithm)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return found


def write_key_set(root: Path, *jwks: dict[str, Any]) -> Path:
    """Write an identity provider's key set, as one that replaces the file does."""
    part, file = root / "jwks.part", root / JWKS
    part.write_text(json.dumps({"keys": jwks or [public_jwk(each) for each in ("RS256", "ES256", "EdDSA")]}))
    part.replace(file)
    return file


def claims(**other: Any) -> dict[str, Any]:
    """The claims of a right token; None takes one away."""
    now = int(time.time())
    right = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "eta-service", "iat": now, "nbf": now, "exp": now + 300,
        "headrace": {"rights": ["read"], "services": ["eta_model"]},
    }  # fmt: skip
    return {name: value for name, value in {**right, **other}.items() if value is not None}


def token(algorithm: str = "ES256", *, headers: dict[str, Any] | None = None, key: Any = None, **other: Any) -> str:
    """A right token, but for what is given."""
    named = {"kid": algorithm.lower(), **(headers or {})}
    kept = {name: value for name, value in named.items() if value is not None}
    return jwt.encode(claims(**other), key or private_key(algorithm), algorithm, kept)


def token_settings(**other: Any) -> SecuritySettings:
    """Settings by which tokens count."""
    given = {"token_keys": JWKS, "token_issuer": ISSUER, "token_audience": AUDIENCE, **other}
    return SecuritySettings(**given)


def guard(root: Path, settings: SecuritySettings, clock: Clock, **other: Any) -> Guard:
    """A guard whose clock is set by hand."""
    return guard_of(settings, root, clock.us, ticks=clock.ticks, **other)


def write_certificate(root: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate that nobody vouches for but itself, and its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = root / "cert.pem", root / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.touch(mode=0o600)
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return cert_file, key_file
