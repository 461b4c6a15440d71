"""Where a client asks, and as whom."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

import httpx

from headrace_client.errors import InvalidRequest

IDLE_SECONDS = 4.0
"""How long an idle connection is kept: less than the five seconds after which most servers end one."""


def _version() -> str:
    try:
        return version("headrace-client")
    except PackageNotFoundError:  # run from its source tree
        return "0"


@dataclass(frozen=True, slots=True)
class Address:
    """A server, and what each request to it carries.

    Parameters
    ----------
    url : str
        Such as ``https://features.example.com``.
    headers : mapping of str to str
        What each request carries; not shown in a `repr`, as a key may be among them.
    most_connections : int
        How many there are at once; further requests wait for one.
    verify : bool
        Whether a server's certificate is checked; False is for experiments alone.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    most_connections: int
    verify: bool = True

    @classmethod
    def of(
        cls, url: str, api_key: str | None, token: str | None, headers: Mapping[str, str], most_connections: int,
        verify: bool,
    ) -> Address:  # fmt: skip
        """Check what a user gave.

        Raises
        ------
        InvalidRequest
            If the URL is none, or there are both a key and a token.
        """
        _check_url(url)
        if api_key is not None and token is not None:
            raise InvalidRequest("give either api_key or token, not both.")
        secret = api_key if token is None else token
        own = {"Accept": "application/json", "User-Agent": f"headrace-client/{_version()}"}
        shown = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        return cls(url.rstrip("/"), {**own, **shown, **headers}, most_connections, verify)

    def limits(self, most_connections: int) -> httpx.Limits:
        """How many connections a client of httpx has, and for how long an idle one is kept."""
        return httpx.Limits(
            max_connections=most_connections, max_keepalive_connections=most_connections, keepalive_expiry=IDLE_SECONDS
        )

    def trust(self) -> ssl.SSLContext:
        """Which certificates count, read once for all connections: none where there is no TLS, which is quick."""
        if self.url.startswith("https:"):
            return httpx.create_ssl_context(verify=self.verify)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def headers_for(self, body: bytes | None) -> dict[str, str]:
        """What a request carries."""
        return {**self.headers} if body is None else {**self.headers, "Content-Type": "application/json"}


def _check_url(url: str) -> None:
    try:
        found = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidRequest(f"url: {url!r} is none: {error}.") from error
    if found.scheme not in ("http", "https") or not found.host:
        raise InvalidRequest(f"url: {url!r} is none. Write it as in http://127.0.0.1:6566.")
