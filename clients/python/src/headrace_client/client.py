"""The client that blocks."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from headrace_client.addresses import Address
from headrace_client.calls import Calls, Times, Wanted
from headrace_client.columns import Rows
from headrace_client.features import Features
from headrace_client.pool import BusyError, Left, Pool
from headrace_client.retrying import Deadline, Lost, Outcome, Plan, Reply, Retrying, Send, Wait

_T = TypeVar("_T")


class Client:
    """Reads features from a server and pushes rows to it.

    It may be used by several threads at once, and goes on in a child process after a fork: each process has
    connections of its own, which are kept from call to call.

    Parameters
    ----------
    url : str
        The server, such as ``http://127.0.0.1:6566``.
    api_key, token : str, optional
        A key of the server, or a token of an identity provider.
    timeout_seconds : float
        What a call may take in all, further tries included.
    retries : int
        How often a request is sent again that was not answered: reads change nothing, and of a row that was pushed
        twice the source keeps one, by its id (``dedupe_on``).
    most_rows : int, optional
        A request for more entities is asked in parts, all for the same time and from the same versions; None if it
        never is.
    typed : bool
        Whether times, dates, decimals and bytes of a service become Python's own; the types are asked for once.
        Without it, and for features that are named one by one, they are text, as in JSON.
    headers : mapping of str to str, optional
        Further headers of each request.
    most_connections : int
        How many there are at once; further requests wait for one.
    verify : bool
        Whether a server's certificate is checked.

    Raises
    ------
    InvalidRequest
        If the URL is none.
    """

    def __init__(  # noqa: PLR0913 - settings, all by name
        self, url: str, *, api_key: str | None = None, token: str | None = None, timeout_seconds: float = 1.0,
        retries: int = 2, most_rows: int | None = 10_000, typed: bool = True,
        headers: Mapping[str, str] | None = None, most_connections: int = 100, verify: bool = True,
    ) -> None:  # fmt: skip
        self._address = Address.of(url, api_key, token, headers or {}, most_connections, verify)
        self._calls = Calls(timeout_seconds, Retrying(retries), most_rows, typed)
        self._pools: dict[int, Pool] = {}

    def features(
        self, wanted: Wanted, entities: Rows, *, at: Times = None, full_names: bool = False,
        timeout_seconds: float | None = None,
    ) -> Features:  # fmt: skip
        """Features of some entities.

        Parameters
        ----------
        wanted : str or list of str
            A service, or features as ``view:feature``.
        entities : mapping of str to sequence, sequence of mapping, or frame
            The keys of the entities, and what on-demand features ask for.
        at : datetime or str, optional
            The time to answer for, with its zone; now by default. Not with Feast's server.
        full_names : bool
            Whether a feature is called ``view__feature``.
        timeout_seconds : float, optional
            What this call may take.

        Raises
        ------
        HeadraceClientError
            If there is no answer: see `headrace_client.errors`.
        """
        return self._run(self._calls.features(wanted, entities, at, full_names, timeout_seconds))

    def push(
        self, source: str, rows: Rows, *, wait_seconds: float | None = None, timeout_seconds: float | None = None
    ) -> dict[str, Any]:
        """Push rows to a source; they are durable when this returns.

        It is tried again as reads are: a row whose answer was lost and that is sent twice counts once, as a source
        keeps one of those that have the same id (``dedupe_on``).

        Parameters
        ----------
        source : str
            The source.
        rows : mapping of str to sequence, sequence of mapping, or frame
            Its columns.
        wait_seconds : float, optional
            For how long to wait until the rows can be read; beyond `timeout_seconds`.
        timeout_seconds : float, optional
            What this call may take.

        Raises
        ------
        HeadraceClientError
            If it is not known that all rows are durable.
        """
        return self._run(self._calls.push(source, rows, wait_seconds, timeout_seconds))

    def services(self, *, timeout_seconds: float | None = None) -> list[dict[str, Any]]:
        """The services that there are. Not with Feast's server."""
        return self._run(self._calls.services(timeout_seconds))

    def health(self, *, timeout_seconds: float | None = None) -> dict[str, Any]:
        """What the server says of itself; raises `Unavailable` if it does not answer."""
        return self._run(self._calls.health(timeout_seconds))

    def close(self) -> None:
        """End this process's connections; the next call makes new ones."""
        if (pool := self._pools.pop(os.getpid(), None)) is not None:
            pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._address.url!r})"

    def _run(self, plan: Plan[_T]) -> _T:
        outcome: Outcome = None
        while True:
            try:
                action = plan.send(outcome)
            except StopIteration as end:
                found: _T = end.value
                return found
            if isinstance(action, Wait):
                time.sleep(action.seconds)
                outcome = None
            else:
                outcome = self._sent(action)

    def _sent(self, action: Send) -> Reply | Lost:
        deadline = action.deadline
        try:
            with self._pool().connection(deadline) as connection:
                request = connection.build_request(
                    action.method, self._address.url + action.path, content=action.body,
                    headers=self._address.headers_for(action.body), extensions={"timeout": Left(deadline)},
                )  # fmt: skip
                response = connection.send(request, stream=True)
                try:
                    return _read(response, deadline)
                finally:
                    response.close()
        except BusyError:
            return Lost(f"all {self._address.most_connections} connections are in use", is_late=True)
        except httpx.TimeoutException:
            return Lost("it did not answer", is_late=True)
        except httpx.RequestError as error:
            return Lost(f"{type(error).__name__}: {error}")

    def _pool(self) -> Pool:
        """The process's connections; those of the parent, whose sockets a child has too, are left alone."""
        own = os.getpid()
        return self._pools.get(own) or self._pools.setdefault(own, Pool(self._address))


def _read(response: httpx.Response, deadline: Deadline) -> Reply | Lost:
    """The whole answer; its parts may not dribble in for longer than the call may take."""
    parts = []
    for part in response.iter_bytes():
        parts.append(part)
        if not deadline.left_seconds:
            return Lost("its answer was not complete", is_late=True)
    return Reply(response.status_code, response.headers, b"".join(parts))
