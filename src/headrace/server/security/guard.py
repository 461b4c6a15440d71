"""What a server asks at each request: who is it, may they, and not too often; and what it then notes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace.server.security.audit import Audit, AuditRecord
from headrace.server.security.audit_file import AuditFile
from headrace.server.security.caller import ANONYMOUS, Caller
from headrace.server.security.credentials import presented
from headrace.server.security.keys import PREFIX, KeyRing
from headrace.server.security.rates import Rates
from headrace.server.security.refusals import (
    ForbiddenError,
    RateLimitedError,
    TooLargeError,
    UnauthorizedError,
)
from headrace.server.security.settings import SecuritySettings
from headrace.server.security.tokens import TokenRules, Tokens
from headrace.server.security.watched import WatchedFile
from headrace.types import instant_text

if TYPE_CHECKING:
    from headrace.server.endpoints import Right
    from headrace.server.errors import RequestError

EXPOSED_REQUESTS_PER_SECOND: Final = 1_000.0
EXPOSED_AUDIT: Final = "audit/requests.jsonl"
_FAILURES_PER_SECOND: Final = 5.0
_FAILURES_BURST: Final = 50.0
_NOTED_REFUSALS_PER_SECOND: Final = 20.0


class Guard:
    """Lets callers in. It never waits, and raises no other error than `RequestError`.

    An endpoint that is for anyone, such as ``/health``, is not asked about.

    Parameters
    ----------
    keys : WatchedFile of KeyRing
        The API keys.
    tokens : Tokens, optional
        The identity provider's tokens.
    requests, entities : Rates, optional
        How often, and for how many entities, each caller may ask.
    audit : Audit, optional
        Where it is noted.
    most_body_bytes : int
        How long a body may be.
    clock : callable
        Now, in microseconds UTC.
    ticks : callable
        Seconds that only grow.
    """

    def __init__(
        self,
        keys: WatchedFile[KeyRing],
        *,
        tokens: Tokens | None,
        requests: Rates | None,
        entities: Rates | None,
        audit: Audit | None,
        most_body_bytes: int,
        clock: Callable[[], int],
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most_body_bytes: Final = most_body_bytes
        self._keys = keys
        self._tokens = tokens
        self._requests = requests
        self._entities = entities
        self._failures = Rates(_FAILURES_PER_SECOND, _FAILURES_BURST)
        self._noted = Rates(_NOTED_REFUSALS_PER_SECOND, _NOTED_REFUSALS_PER_SECOND)
        self._audit = audit
        self._clock = clock
        self._ticks = ticks
        self.refused = 0
        """How many requests were not let in so far, for whatever reason."""

    @property
    def is_open(self) -> bool:
        """Whether anybody is let in: there is no file of keys, and tokens are not set."""
        return self._keys.current() is None and self._tokens is None and not self._keys.is_named

    @property
    def audit_dropped(self) -> int:
        """How many lines of the record of who read what were dropped so far."""
        return 0 if self._audit is None else self._audit.dropped

    def admit(self, authorization: str | None, api_key: str | None, peer: str) -> Caller:
        """Say who asks, and count the request.

        Parameters
        ----------
        authorization, api_key : str, optional
            The headers ``Authorization`` and ``X-API-Key``.
        peer : str
            The address that it comes from, without the port.

        Raises
        ------
        UnauthorizedError
            If nobody knows.
        RateLimitedError
            If they asked too often, or the address was wrong too often.
        """
        keys = self._keys.current()
        if keys is None and self._tokens is None and not self._keys.is_named:
            caller = ANONYMOUS
        else:
            try:
                caller = self._known(keys, presented(authorization, api_key))
            except UnauthorizedError as error:
                self._refuse_unknown(error, peer)
        if self._requests is not None:
            wait = self._requests.take(_payer(caller, peer), self._ticks())
            if wait:
                self._refuse(_too_often(self._requests, "requests", wait), caller, peer)
        return caller

    def charge(self, caller: Caller, peer: str, n_rows: int) -> None:
        """Count the entities of a request, where there is a limit to them.

        Raises
        ------
        RateLimitedError
            If they are too many lately.
        """
        if self._entities is not None:
            wait = self._entities.take(_payer(caller, peer), self._ticks(), n_rows)
            if wait:
                self._refuse(_too_often(self._entities, "entities", wait), caller, peer)

    def allow(self, caller: Caller, right: Right, service: str | None = None, peer: str = "") -> None:
        """See that a caller may do something.

        Parameters
        ----------
        caller : Caller
            Who.
        right : str
            What.
        service : str, optional
            The service that is read. Without one, as in a request that names features, only a caller who may read
            all services is let in.
        peer : str
            The address that it comes from, for the record.

        Raises
        ------
        ForbiddenError
            If they may not.
        """
        if right == "anyone":
            return
        if right not in caller.rights:
            self._refuse(ForbiddenError(f"{caller.described} {_may(caller)}, and not {right}."), caller, peer, service)
        if caller.services is None or service in caller.services or (service is None and right != "read"):
            return
        asked = "features by their names" if service is None else f"the service {service!r}"
        how = " Name one of these as feature_service." if service is None and caller.services else ""
        self._refuse(ForbiddenError(f"{caller.described} {_may(caller)}, and not {asked}.{how}"), caller, peer, service)

    def check_body(self, n_bytes: int) -> None:
        """Refuse a body that is too long, as soon as its length is known.

        Raises
        ------
        TooLargeError
            If it is.
        """
        if n_bytes > self.most_body_bytes:
            self.refused += 1
            raise TooLargeError(
                f"the body is longer than {self.most_body_bytes:,} bytes. Ask for fewer entities at once, or raise "
                "most_body_bytes, below [serve] in headrace.toml."
            )

    def read(
        self,
        caller: Caller,
        service: str | None,
        views: Sequence[str],
        n_rows: int,
        status: int,
        at_us: int,
        *,
        route: str = "/get-online-features",
        peer: str = "",
    ) -> None:
        """Note that a request was answered: who, what of, of how many entities; no keys and no values.

        Requests that this guard refused are noted by it.
        """
        if self._audit is not None:
            self._audit.add(AuditRecord(at_us, caller.name, caller.kind, peer, route, service, views, n_rows, status))

    def close(self) -> None:
        """Write what is still to be noted."""
        if self._audit is not None:
            self._audit.close()

    def _known(self, keys: KeyRing | None, secret: str) -> Caller:
        if not secret.startswith(PREFIX):
            if self._tokens is None:
                raise UnauthorizedError("this is no API key: one begins with 'hr_', and tokens are not accepted here.")
            return self._tokens.caller(secret, self._clock())
        found = None if keys is None else keys.find(secret)
        if found is None:
            raise UnauthorizedError("there is no such API key.")
        if self._clock() >= found.ends_us:
            raise UnauthorizedError(
                f"the key {found.caller.name!r} ended at {instant_text(found.ends_us)}: ask for a new one."
            )
        return found.caller

    def _refuse_unknown(self, error: UnauthorizedError, peer: str) -> None:
        wait = self._failures.take(peer, self._ticks())
        unknown = Caller("unknown", "anonymous", frozenset())
        if wait:
            told = f"too many requests from this address had no right key or token. The last: {error}"
            self._refuse(RateLimitedError(told, wait), unknown, peer)
        self._refuse(error, unknown, peer)

    def _refuse(self, error: RequestError, caller: Caller, peer: str, service: str | None = None) -> None:
        """Note a refusal, unless so many come that they would crowd out what was read; and raise it."""
        self.refused += 1
        if self._audit is not None and not self._noted.take(None, self._ticks()):
            at = self._clock()
            self._audit.add(AuditRecord(at, caller.name, caller.kind, peer, "refused", service, (), 0, error.status))
        raise error from None


def guard_of(
    settings: SecuritySettings,
    root: Path,
    clock: Callable[[], int],
    *,
    exposed: bool = False,
    ticks: Callable[[], float] = time.monotonic,
) -> Guard:
    """Make a guard. Limits count for this process alone.

    Parameters
    ----------
    settings : SecuritySettings
        What it is to ask.
    root : Path
        The project's folder.
    clock : callable
        Now, in microseconds UTC.
    exposed : bool
        Whether others than this machine can connect: then requests are limited and noted by default.
    ticks : callable
        Seconds that only grow.

    Raises
    ------
    SettingsError
        If a file of keys can't be read.
    """
    rules = TokenRules(
        settings.token_issuer, settings.token_audience, settings.token_algorithms, settings.token_claim,
        settings.token_leeway_seconds,
    )  # fmt: skip
    entities = settings.entities_per_second
    return Guard(
        WatchedFile(settings.keys_file(root), KeyRing.parse, ticks),
        tokens=Tokens(root / Path(settings.token_keys).expanduser(), rules, ticks) if settings.token_keys else None,
        requests=_request_rates(settings, exposed=exposed),
        entities=None if entities is None else Rates(entities, 2 * entities),
        audit=_audit_of(settings, root, exposed=exposed),
        most_body_bytes=settings.most_body_bytes,
        clock=clock,
        ticks=ticks,
    )


def _request_rates(settings: SecuritySettings, *, exposed: bool) -> Rates | None:
    rate = settings.requests_per_second
    if rate is None and exposed:
        rate = EXPOSED_REQUESTS_PER_SECOND
    return None if rate is None else Rates(rate, settings.burst or max(1.0, 2 * rate))


def _audit_of(settings: SecuritySettings, root: Path, *, exposed: bool) -> Audit | None:
    name = settings.audit if settings.audit is not None else EXPOSED_AUDIT if exposed else ""
    if not name:
        return None
    return Audit(AuditFile(root / Path(name).expanduser(), settings.audit_most_bytes, settings.audit_files))


def _payer(caller: Caller, peer: str) -> tuple[str, str]:
    """Whose bucket a request is taken from: each address has its own where nobody says who they are."""
    return caller.kind, peer if caller.kind == "anonymous" else caller.name


def _too_often(rates: Rates, what: str, wait: float) -> RateLimitedError:
    return RateLimitedError(
        f"more than {rates.per_second:g} {what} a second are asked for, after the first {rates.burst:g}: wait "
        f"{max(wait, 0.01):.2f} s.",
        wait,
    )


def _may(caller: Caller) -> str:
    """What a caller may do, in words."""
    if not caller.rights:
        return "may do nothing here"
    services = "" if caller.services is None else f" (services {', '.join(sorted(caller.services)) or 'none'})"
    return f"may {', '.join(sorted(caller.rights))}{services}"
