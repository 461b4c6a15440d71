"""TLS from a certificate and its key, read again when they change."""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from headrace.errors import SettingsError
from headrace.server.security.settings import SecuritySettings

_NOT_FOR_OTHERS: Final = 0o027
_LOOK_SECONDS: Final = 1.0
_log: Final = logging.getLogger(__name__)


def tls_of(settings: SecuritySettings, root: Path) -> ssl.SSLContext | None:
    """What a server needs to speak TLS 1.2 or later; None where it is off.

    Raises
    ------
    SettingsError
        If a file is missing, others may read or write the key, or the two do not belong together.
    """
    return None if not settings.has_tls else Certificate(settings, root).context


class Certificate:
    """A certificate whose files may be replaced while it is in use: connections made later have the new one.

    Parameters
    ----------
    settings : SecuritySettings
        Where the files are.
    root : Path
        The project's folder.
    ticks : callable
        Seconds that only grow.

    Raises
    ------
    SettingsError
        As of `tls_of`.
    """

    def __init__(self, settings: SecuritySettings, root: Path, ticks: Callable[[], float] = time.monotonic) -> None:
        self._cert = root / Path(settings.tls_cert).expanduser()
        self._key = root / Path(settings.tls_key).expanduser()
        self._password = settings.tls_key_password
        self._ticks = ticks
        self._next_look = ticks() + _LOOK_SECONDS
        self._sign = self._signed()
        self.context: Final = _new_context()
        self._load(self.context)

    def look(self) -> None:
        """Take new files, if there are any; looked for once a second at most. Wrong ones are told, and not taken."""
        if self._ticks() < self._next_look:
            return
        self._next_look = self._ticks() + _LOOK_SECONDS
        sign = self._signed()
        if sign == self._sign:
            return
        try:
            self._load(_new_context())  # a wrong pair would leave the context that is in use with half of it
            self._load(self.context)
            _log.info("%s was read again", self._cert)
        except SettingsError as error:
            _log.error("the certificate that was read before stays in use: %s", error)
        self._sign = sign

    def _load(self, context: ssl.SSLContext) -> None:
        _check_key(self._key)
        try:
            context.load_cert_chain(self._cert, self._key, lambda: self._password)
        except FileNotFoundError:
            raise SettingsError(f"tls_cert: {self._cert} is not there.") from None
        except (ssl.SSLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise SettingsError(
                f"{self._cert} and {self._key} are no certificate and its private key in PEM form, or the key's "
                f"password (HEADRACE_SERVE_TLS_KEY_PASSWORD) is wrong: {reason}."
            ) from None

    def _signed(self) -> tuple[tuple[int, ...] | None, ...]:
        return tuple(_sign_of(path) for path in (self._cert, self._key))


def _new_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    return context


def _check_key(key: Path) -> None:
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise SettingsError(f"tls_key: {key} can't be read: {error.strerror}.") from None
    if os.name == "posix" and mode & _NOT_FOR_OTHERS:
        raise SettingsError(f"tls_key: others may read or write {key}. Run: chmod 600 {key}")


def _sign_of(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
