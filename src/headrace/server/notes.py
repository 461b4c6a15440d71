"""What is noted of an answer after it was sent: counts, who read it, the log of what was served, and traces."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING, Final, NamedTuple

from headrace.platform.served_log import ServedLog
from headrace.platform.served_log_entry import ServedEntry
from headrace.server.door import ROUTE, Client
from headrace.server.tracing import StoreRead, Tracer, tracer_of

if TYPE_CHECKING:
    from headrace.platform.context import Context
    from headrace.platform.online_answer import OnlineAnswer
    from headrace.server.answering import Answering
    from headrace.server.asked import Asked
    from headrace.server.desk import Ticket
    from headrace.server.security.caller import Caller

_LONGEST_ID: Final = 128


class Read(NamedTuple):
    """A request that read features: what is noted of it.

    Parameters
    ----------
    asked : Asked
        The service, or the features.
    caller, client : Caller, (str, int)
        Who asked, and from where.
    service : str
        Its name.
    n_rows : int
        How many entities.
    request_id : str
        The request's; empty for none.
    is_stale, is_present : bool
        Whether it was answered from records that were read before, and whether it is of its own time.
    route : str
        The path.
    """

    asked: Asked
    caller: Caller
    client: Client
    service: str
    n_rows: int
    request_id: str
    is_stale: bool = False
    is_present: bool = True
    route: str = ROUTE


class Notes:
    """Takes notes; nobody waits for them.

    Parameters
    ----------
    log : ServedLog, optional
        Where answers are kept.
    tracer : Tracer, optional
        Where traces go.
    """

    def __init__(self, log: ServedLog | None = None, tracer: Tracer | None = None) -> None:
        self._log, self._tracer = log, tracer
        self._told_rows = self._told_dropped = 0
        self._prefix, self._next = token_hex(8), count()

    @classmethod
    def of(cls, context: Context, share: float, keep_days: int | None = None) -> Notes:
        """As the settings and the environment say.

        Parameters
        ----------
        context : Context
            The project, whose lake keeps the log.
        share : float
            The share of answers that are kept; 0 for none.
        keep_days : int, optional
            For how many days besides today; for ever by default.

        Raises
        ------
        SettingsError
            If traces are wanted and can't be sent.
        """
        log = ServedLog.open(context, share, keep_days=keep_days) if share else None
        return cls(log, tracer_of(os.environ))

    def request_id(self, headers: Mapping[bytes, bytes]) -> str:
        """The request's own, or a new one where one is needed; empty where nobody asks for it."""
        given = headers.get(b"x-request-id")
        if given is not None:
            return given[:_LONGEST_ID].decode("latin-1")
        return f"{self._prefix}-{next(self._next):x}" if self._log is not None else ""

    def served(self, answering: Answering, read: Ticket | Read, answer: OnlineAnswer) -> None:
        """Note an answer that was sent."""
        asked = read.asked
        answering.door.note(
            read.caller, read.client, read.service, asked.distinct_views, read.n_rows, answer.at, read.route
        )
        answering.metrics.values(asked.views, answer.statuses, answer.time_columns, answer.at)
        if self._log is not None:
            self._log.offer(ServedEntry(
                service=asked.reader.service, answer=answer, request_id=read.request_id,
                answered_us=time.time_ns() // 1_000, caller=read.caller.name, is_stale=read.is_stale,
                is_present=read.is_present,
            ))  # fmt: skip

    def told(self, ticket: Ticket, status: int, elapsed_seconds: float, store: str) -> None:
        """Trace a request that was answered, whatever the answer."""
        if self._tracer is None:
            return
        ended = time.time_ns()
        attributes = {"http.route": ROUTE, "http.response.status_code": status}
        if ticket.service and hasattr(ticket, "n_rows"):
            attributes |= {"headrace.service": ticket.service, "headrace.entities": ticket.n_rows}
        read = None
        if ticket.read_seconds is not None:
            began = ended - round((elapsed_seconds - (ticket.read_began - ticket.began)) * 1e9)
            read = StoreRead(store, began, began + round(ticket.read_seconds * 1e9))
        headers = ticket.headers
        self._tracer.request(f"POST {ROUTE}", headers, ended - round(elapsed_seconds * 1e9), ended, attributes, read)

    def count(self, answering: Answering) -> None:
        """Tell the metrics how far the log has come."""
        if self._log is not None:
            rows, dropped = self._log.written, self._log.dropped
            answering.metrics.logged(rows - self._told_rows, dropped - self._told_dropped)
            self._told_rows, self._told_dropped = rows, dropped

    def close(self) -> None:
        """Write what waits."""
        if self._log is not None:
            self._log.close()
        if self._tracer is not None:
            self._tracer.close()
