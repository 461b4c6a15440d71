"""API keys: how one looks, what is kept of it, and how a presented one is recognised.

A key is ``hr_``, its public id, ``_`` and 256 random bits. What is kept is its SHA-256. A slow hash with salt, as
passwords need, would add nothing: passwords are guessed because people choose them among few, while nobody tries
2^256 keys however fast each try is. So a request costs microseconds, and the file is of no use to who reads it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Annotated, Final, Self

import msgspec

from headrace.errors import SettingsError, TimeError
from headrace.server.security.caller import Caller, GrantedRight
from headrace.types import FOREVER, instant, instant_text

PREFIX: Final = "hr_"
_ID_DIGITS: Final = 12
_SECRET_BYTES: Final = 32
_ID_END: Final = len(PREFIX) + _ID_DIGITS
KEY_LENGTH: Final = _ID_END + 1 + 43
"""Characters of a key: 32 bytes are 43 in URL-safe base 64."""
_ID: Final = re.compile(rf"[0-9a-f]{{{_ID_DIGITS}}}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is kept of a key, in the file too.

    Parameters
    ----------
    id : str
        Its public part, by which it is found and spoken of.
    sha256 : str
        The hash of the whole key, 64 hexadecimal digits.
    rights : list of str
        What its holder may do.
    services : list of str, optional
        The services that its holder may read; all where it is None.
    note : str
        Whose it is, or what for.
    created_at, expires_at, revoked_at : str, optional
        Instants, ISO 8601.
    """

    id: str
    sha256: str
    rights: Annotated[list[GrantedRight], msgspec.Meta(min_length=1)]
    services: list[str] | None = None
    note: str = ""
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None

    @property
    def ends_us(self) -> int:
        """When it ends, or ended: what comes first of its expiry and its revocation."""
        return min((instant(time) for time in (self.expires_at, self.revoked_at) if time is not None), default=FOREVER)

    def state(self, now_us: int) -> str:
        """``valid``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None and instant(self.revoked_at) <= now_us:
            return "revoked"
        return "valid" if now_us < self.ends_us else "expired"

    def caller(self) -> Caller:
        """Who its holder is."""
        services = None if self.services is None else frozenset(self.services)
        return Caller(self.id, "key", frozenset(self.rights), services)


class KeysFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's content."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)]
    keys: list[Key]


def new_secret() -> tuple[str, str, str]:
    """A new key: its id, the key itself, and what is kept of it."""
    key_id = secrets.token_hex(_ID_DIGITS // 2)
    key = f"{PREFIX}{key_id}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return key_id, key, hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Known:
    """A key that was presented and is right, though it may have ended.

    Parameters
    ----------
    digest : bytes
        Its hash.
    ends_us : int
        When it ends, in microseconds UTC.
    caller : Caller
        Who holds it.
    """

    digest: bytes
    ends_us: int
    caller: Caller

    def __repr__(self) -> str:
        """Say which it is, and no more."""
        return f"Known({self.caller.name})"


_NOBODY: Final = bytes(32)


class KeyRing:
    """All keys, by their ids.

    Parameters
    ----------
    keys : list of Key
        In the file's order.

    Raises
    ------
    SettingsError
        If an id is there twice, or an id, a hash or a time is none.
    """

    def __init__(self, keys: list[Key]) -> None:
        self.keys = keys
        self._known: dict[str, Known] = {}
        for key in keys:
            _check(key)
            if key.id in self._known:
                raise SettingsError(f"the key {key.id} is there twice: remove one of the two.")
            self._known[key.id] = Known(bytes.fromhex(key.sha256), key.ends_us, key.caller())

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """The keys of a file's content.

        Raises
        ------
        SettingsError
            If it is no keys file.
        """
        try:
            return cls(msgspec.json.decode(content, type=KeysFile).keys)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TimeError, SettingsError) as error:
            raise SettingsError(
                f"the file of keys is damaged: {error} `headrace keys new` writes a right one."
            ) from error

    def find(self, presented: str) -> Known | None:
        """The key that was presented, if it is one of these. Whether it has ended is the caller's to see.

        How long it takes tells nothing of the secret: the whole is hashed, and the hashes are compared in a time that
        does not depend on where they differ.
        """
        if len(presented) != KEY_LENGTH or not presented.isascii():
            return None
        found = self._known.get(presented[len(PREFIX) : _ID_END])
        digest = hashlib.sha256(presented.encode()).digest()
        same = hmac.compare_digest(digest, _NOBODY if found is None else found.digest)
        return found if same else None


def _check(key: Key) -> None:
    if not _ID.fullmatch(key.id) or not _HASH.fullmatch(key.sha256):
        raise SettingsError(f"the key {key.id!r}: an id is {_ID_DIGITS} hexadecimal digits, and sha256 is 64 of them.")


def described(key: Key, now_us: int) -> dict[str, str]:
    """A key as a row of a table."""
    return {
        "id": key.id,
        "state": key.state(now_us),
        "rights": ", ".join(key.rights),
        "services": "all" if key.services is None else ", ".join(key.services) or "none",
        "expires": instant_text(instant(key.expires_at)) if key.expires_at else "never",
        "created": instant_text(instant(key.created_at)),
        "note": key.note,
    }
