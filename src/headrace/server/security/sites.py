"""Which web pages may ask: those of this server, so that another site can't ask through a visitor's browser."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from headrace.server.security.exposure import is_loopback
from headrace.server.security.refusals import ForbiddenError
from headrace.server.security.settings import SecuritySettings

_LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_MOST_REMEMBERED: Final = 256


class Sites:
    """The names by which a server may be asked, and the sites whose pages may ask it.

    A page of another site can have its own name lead to this machine (DNS rebinding): then its requests are of that
    name. Or it can send a form here: then they have its origin. A program that is no browser sends no origin, and the
    name it connects to.

    Parameters
    ----------
    hosts : tuple of str, optional
        The names, without ports; None for any.
    origins : tuple of str
        Other sites whose pages may ask, such as ``https://tools.example.com``.
    """

    def __init__(self, hosts: tuple[str, ...] | None, origins: tuple[str, ...] = ()) -> None:
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._right: set[str] = set()

    @classmethod
    def of_loopback(cls, hosts: tuple[str, ...] = (), origins: tuple[str, ...] = ()) -> Sites:
        """Those of a server at this machine's own address."""
        return cls((*_LOOPBACK_NAMES, *hosts), origins)

    def check(self, host: str | None, origin: str | None) -> None:
        """Refuse what another site's page asks.

        Parameters
        ----------
        host, origin : str, optional
            The headers of these names.

        Raises
        ------
        ForbiddenError
            If the host is none of the names, or the origin another site.
        """
        if origin is None and (host is None or host in self._right):
            return
        if host is not None:
            self._check_host(host)
        if origin is not None and not self._is_own(origin.lower(), host):
            raise ForbiddenError(
                "a page of another site may not ask here. If it should, name its site in origins, below [serve] in "
                "headrace.toml."
            )

    def _check_host(self, host: str) -> None:
        if self._hosts is not None and _name_of(host) not in self._hosts:
            raise ForbiddenError(
                "this server is not asked by that name. If it should be, name it in hosts, below [serve] in "
                "headrace.toml."
            )
        if len(self._right) < _MOST_REMEMBERED:
            self._right.add(host)

    def _is_own(self, origin: str, host: str | None) -> bool:
        if origin in self._origins:
            return True
        try:
            return host is not None and urlsplit(origin).netloc == host.lower()
        except ValueError:
            return False


def sites_of(host: str, settings: SecuritySettings) -> Sites:
    """What a server at an address is to check.

    On this machine's own address the names are this machine's, and those of the settings. Beyond, and behind a proxy,
    any name may lead here unless the settings give names.

    Parameters
    ----------
    host : str
        The address that it listens at.
    settings : SecuritySettings
        With more names and sites.
    """
    if is_loopback(host) and not settings.behind_proxy:
        return Sites.of_loopback(settings.hosts, settings.origins)
    return Sites(settings.hosts or None, settings.origins)


def _name_of(host: str) -> str:
    """A host header without its port: ``[::1]:6566`` is ``[::1]``."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() and (":" not in name or name.endswith("]")) else host.lower()
