"""Tokens of an identity provider: signed claims (JWT), checked by its public keys, without asking it."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from headrace.errors import SettingsError
from headrace.server.security.caller import Caller
from headrace.server.security.claims import allowed_by
from headrace.server.security.jwks import KeySet, PublicKey
from headrace.server.security.refusals import UnauthorizedError
from headrace.server.security.watched import WatchedFile
from headrace.types import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_BYTES: Final = 16_384
_MOST_REMEMBERED: Final = 4_096
_MOST_NAME: Final = 256
_GARBAGE: Final = (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError)
"""What a decoder of foreign bytes may fail with, beside its own errors."""
_REQUIRED: Final = ["exp", "iss", "aud", "sub"]


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token has to be like.

    Parameters
    ----------
    issuer, audience : str
        What its ``iss`` is, and what is among its ``aud``.
    algorithms : tuple of str
        By which it may be signed.
    claim : str
        The claim that says what it allows.
    leeway_seconds : int
        How far the provider's clock may be off.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    claim: str
    leeway_seconds: int


class Tokens:
    """Who holds a token. One that was found right is remembered by its hash until it ends.

    Parameters
    ----------
    file : Path
        The provider's key set; when it changes, all is forgotten and checked anew.
    rules : TokenRules
        What a token has to be like.
    ticks : callable
        Seconds that only grow.

    Raises
    ------
    SettingsError
        If the key set can't be read, or PyJWT is not installed.
    """

    def __init__(self, file: Path, rules: TokenRules, ticks: Callable[[], float]) -> None:
        _check_installed()
        if not file.exists():
            raise SettingsError(f"{file} is not there: token_keys names a file, the key set of an identity provider.")
        self._rules = rules
        self._keys = WatchedFile(file, partial(KeySet.parse, algorithms=rules.algorithms), ticks)
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[Caller, int]] = OrderedDict()
        self._known_by: KeySet | None = None

    def caller(self, token: str, now_us: int) -> Caller:
        """Who holds a token.

        Parameters
        ----------
        token : str
            As it was presented.
        now_us : int
            Now, in microseconds UTC.

        Raises
        ------
        UnauthorizedError
            If it does not count, with the reason and without any of its text.
        """
        keys = self._keys.current()
        if keys is None or len(token) > _MOST_BYTES or not token.isascii():
            raise UnauthorizedError("this is no token that can be read.")
        digest = hashlib.sha256(token.encode()).digest()
        with self._lock:
            if keys is not self._known_by:
                self._known.clear()
                self._known_by = keys
            known = self._known.get(digest)
        if known is not None and now_us < known[1]:
            return known[0]
        return self._checked(token, digest, keys, now_us)

    def _checked(self, token: str, digest: bytes, keys: KeySet, now_us: int) -> Caller:
        claims = _claims_of(token, keys, self._rules)
        ends_us = (int(claims["exp"]) + self._rules.leeway_seconds) * SECOND
        if now_us >= ends_us:
            raise UnauthorizedError("the token has expired: get a new one.")
        rights, services = allowed_by(claims, self._rules.claim)
        caller = Caller(_name_of(claims), "token", rights, services)
        with self._lock:
            if keys is self._known_by:
                self._known[digest] = (caller, ends_us)
                if len(self._known) > _MOST_REMEMBERED:
                    self._known.popitem(last=False)
        return caller


def _check_installed() -> None:
    try:
        import jwt  # noqa: F401
    except ImportError:
        raise SettingsError(
            "token_keys is set, and PyJWT is not installed. Run: pip install 'headrace[auth]'"
        ) from None


def _claims_of(token: str, keys: KeySet, rules: TokenRules) -> dict[str, Any]:
    """A right token's claims. An error's cause is not kept: it holds the token."""
    import jwt

    try:
        return _decoded(token, _key_of(jwt.get_unverified_header(token), keys), rules)
    except jwt.ExpiredSignatureError:
        reason = "it has expired: get a new one"
    except jwt.ImmatureSignatureError:
        reason = "it is not valid yet: compare the clocks of this machine and of the identity provider"
    except jwt.InvalidAudienceError:
        reason = f"it is not for here: its aud has to hold {rules.audience!r}"
    except jwt.InvalidIssuerError:
        reason = f"it is of another issuer: its iss has to be {rules.issuer!r}"
    except jwt.InvalidSignatureError:
        reason = "its signature is not that of its key"
    except jwt.MissingRequiredClaimError as error:
        reason = f"it has no claim {error.claim!r}"
    except (jwt.PyJWTError, *_GARBAGE):
        reason = "it is malformed"
    raise UnauthorizedError(f"the token does not count: {reason}.")


def _key_of(header: dict[str, Any], keys: KeySet) -> PublicKey:
    key = keys.find(header.get("kid"))
    if key is None:
        raise UnauthorizedError("the token does not count: it names no key of the identity provider's key set.")
    if header.get("alg") not in key.algorithms:
        raise UnauthorizedError(f"the token does not count: its key is for {', '.join(key.algorithms)} alone.")
    return key


def _decoded(token: str, key: PublicKey, rules: TokenRules) -> dict[str, Any]:
    import jwt

    claims: dict[str, Any] = jwt.decode(
        token, key.key, algorithms=list(key.algorithms), audience=rules.audience, issuer=rules.issuer,
        leeway=rules.leeway_seconds, options={"require": _REQUIRED},
    )  # fmt: skip
    int(claims["exp"])  # what can't be counted with is malformed
    return claims


def _name_of(claims: dict[str, Any]) -> str:
    name = claims["sub"]
    if not isinstance(name, str) or not 0 < len(name) <= _MOST_NAME or not name.isprintable():
        raise UnauthorizedError(f"the token does not count: its sub is no name of at most {_MOST_NAME} characters.")
    return name
