"""The door: who asks, whether they may, and what is noted of what they read; nobody is asked where none is set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from headrace.server.endpoints import Right
from headrace.server.security.caller import ANONYMOUS, Caller
from headrace.server.security.guard import Guard
from headrace.server.security.sites import Sites

if TYPE_CHECKING:
    from starlette.requests import Request

Headers = Mapping[bytes, bytes]
Client = tuple[str, int] | None
MOST_BODY_BYTES: Final = 8 << 20
ROUTE: Final = "/get-online-features"


class Door:
    """Lets requests in, by their headers.

    Parameters
    ----------
    guard : Guard, optional
        Who may ask; everybody without.
    sites : Sites, optional
        Which web pages may; all without.
    """

    def __init__(self, guard: Guard | None = None, sites: Sites | None = None) -> None:
        self.guard, self._sites = guard, sites

    @property
    def most_body_bytes(self) -> int:
        """How long a request's body may be."""
        return MOST_BODY_BYTES if self.guard is None else self.guard.most_body_bytes

    def enter(self, headers: Headers, client: Client) -> Caller:
        """Who asks.

        Raises
        ------
        RequestError
            With 401, 403 or 429.
        """
        self.check_site(headers)
        if self.guard is None:
            return ANONYMOUS
        return self.guard.admit(_text(headers, b"authorization"), _text(headers, b"x-api-key"), peer_of(client))

    def check_site(self, headers: Headers) -> None:
        """Refuse what another site's page asks, with 403."""
        if self._sites is not None:
            self._sites.check(_text(headers, b"host"), _text(headers, b"origin"))

    def allow(self, caller: Caller, right: Right, service: str | None, client: Client) -> None:
        """Refuse what the caller may not do, with 403."""
        if self.guard is not None:
            self.guard.allow(caller, right, service, peer_of(client))

    def charge(self, caller: Caller, client: Client, n_rows: int) -> None:
        """Refuse more entities than the caller may ask for in a second, with 429."""
        if self.guard is not None:
            self.guard.charge(caller, peer_of(client), n_rows)

    def note(
        self, caller: Caller, client: Client, service: str, views: Sequence[str], n_rows: int, at_us: int, route: str
    ) -> None:
        """Note who read what; nobody waits for it."""
        if self.guard is not None:
            self.guard.read(caller, service, views, n_rows, 200, at_us, route=route, peer=peer_of(client))

    def close(self) -> None:
        """Write what is noted."""
        if self.guard is not None:
            self.guard.close()


def peer_of(client: Client) -> str:
    """The address that asks; empty for a socket that has none."""
    return client[0] if client else ""


def client_of(request: Request) -> Client:
    """Where a request to the application comes from."""
    return None if request.client is None else (request.client.host, request.client.port)


def _text(headers: Headers, name: bytes) -> str | None:
    found = headers.get(name)
    return None if found is None else found.decode("latin-1")
