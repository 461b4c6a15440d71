"""The public keys of an identity provider: a JSON Web Key Set (RFC 7517), from a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from headrace.errors import SettingsError

ALGORITHMS: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None), "RS384": ("RSA", None), "RS512": ("RSA", None),
    "PS256": ("RSA", None), "PS384": ("RSA", None), "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}  # fmt: skip
"""Algorithm -> the type and the curve of its keys. All are of public keys: whoever verifies can't sign."""
_LEAST_RSA_BITS: Final = 2_048
_UNREADABLE: Final = (ValueError, TypeError, KeyError, RecursionError, AttributeError)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with.

    Parameters
    ----------
    key : object
        Of the package cryptography.
    algorithms : tuple of str
        Those it is for: a token can't choose another.
    """

    key: Any = field(repr=False)
    algorithms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys by their ids.

    Parameters
    ----------
    named : mapping of str to PublicKey
        Those with a ``kid``.
    all : tuple of PublicKey
        Those without one too.
    """

    named: Mapping[str, PublicKey]
    all: tuple[PublicKey, ...]

    @classmethod
    def parse(cls, content: bytes, algorithms: tuple[str, ...]) -> Self:
        """The keys of a file's content that are for one of the algorithms.

        Raises
        ------
        SettingsError
            If it is no key set, has a secret in it, or no key that can be used.
        """
        try:
            listed = json.loads(content)["keys"]
            found = [(each.get("kid"), _public_key(each, algorithms)) for each in listed]
        except _UNREADABLE as error:
            raise SettingsError(
                f'the token keys are no key set ({type(error).__name__}). A file {{"keys": [{{"kty": …}}]}} is '
                "needed, as an identity provider has it at its jwks_uri."
            ) from None
        usable = [(kid, key) for kid, key in found if key is not None]
        if not usable:
            raise SettingsError(f"the token keys hold none for signatures by {', '.join(algorithms)}.")
        named = [kid for kid, _ in usable if kid is not None]
        if len(set(named)) < len(named):
            raise SettingsError("the token keys hold two keys of the same kid: remove one.")
        return cls({kid: key for kid, key in usable if isinstance(kid, str)}, tuple(key for _, key in usable))

    def find(self, kid: object) -> PublicKey | None:
        """The key that a token names; the only one, if it names none. A name is looked up here and nowhere else."""
        if isinstance(kid, str):
            return self.named.get(kid)
        return self.all[0] if kid is None and len(self.all) == 1 else None


def _public_key(jwk: Mapping[str, Any], algorithms: tuple[str, ...]) -> PublicKey | None:
    """What a key can be used for; None if it is for something else."""
    if jwk["kty"] == "oct" or "d" in jwk:
        raise SettingsError("the token keys hold a secret key. Keep it away from here: public keys are enough.")
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        return None
    fitting = tuple(
        name
        for name in algorithms
        if ALGORITHMS[name] in {(jwk["kty"], None), (jwk["kty"], jwk.get("crv"))} and jwk.get("alg", name) == name
    )
    return PublicKey(_loaded(jwk, fitting[0]), fitting) if fitting else None


def _loaded(jwk: Mapping[str, Any], algorithm: str) -> Any:
    import jwt

    try:
        key = jwt.PyJWK(dict(jwk), algorithm=algorithm).key
    except jwt.PyJWTError as error:
        raise SettingsError(f"the token keys hold one that can't be used: {error}.") from None
    if jwk["kty"] == "RSA" and key.key_size < _LEAST_RSA_BITS:
        raise SettingsError(f"the token keys hold an RSA key of {key.key_size} bits: {_LEAST_RSA_BITS} are needed.")
    return key
