"""The desk: from a request's bytes to its reply, without a task or a thread where none is needed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final

from headrace.errors import HeadraceError, NotAppliedError, OnlineStoreError
from headrace.platform.online import ATTEMPTS
from headrace.server.breaker import PROBE_SECONDS, Breaker, OpenError
from headrace.server.door import ROUTE, Client
from headrace.server.errors import RequestError, status_of
from headrace.server.formats import MEDIA_TYPES, Form, arrow, forms_of, msgpack
from headrace.server.reading import Reads, is_outage, reads_of
from headrace.server.references import UNNAMED
from headrace.server.replies import Reply, defect, refusal
from headrace.server.requests import parse_request
from headrace.server.stale import StaleRecords, marked

if TYPE_CHECKING:
    from headrace.online.base import OnlineStore
    from headrace.platform.online import Columns, Look, OnlineReader
    from headrace.platform.online_answer import OnlineAnswer
    from headrace.server.answering import Answering, Project
    from headrace.server.asked import Asked
    from headrace.server.security.caller import Caller

Done = Callable[[Reply], None]
_ENDS: Final = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
"""What ends more than a request. All else is a defect, that of a library in Rust too, which is no `Exception`."""
_IN_LOOP_VALUES: Final = 4_000
"""An answer of more values is made in a thread, so that others are answered meanwhile."""
_log: Final = logging.getLogger(__name__)


class BusyError(RequestError):
    """More requests wait than the server lets wait."""

    def __init__(self, most: int) -> None:
        super().__init__(503, f"{most:,} requests wait already. Ask again later, or start more --workers.")


class Desk:
    """Answers requests for features, from the thread of one event loop.

    Parameters
    ----------
    answering : Answering
        The project, and what is measured.
    """

    def __init__(self, answering: Answering) -> None:
        self.answering, self.options = answering, answering.options
        self.loop = asyncio.get_running_loop()
        self.breaker = Breaker(self._probe)
        self.door = answering.door
        self._reads: tuple[OnlineStore | None, Reads | None] = None, None
        self._stale: dict[str, StaleRecords] = {}
        self._stale_if_error_us = self.options.stale_if_error_us
        self.most_body_bytes = self.door.most_body_bytes
        answering.metrics.watch(self)
        self.waiting = 0

    def features(self, headers: Mapping[bytes, bytes], query: str, body: bytes, client: Client, done: Done) -> None:
        """Answer ``POST /get-online-features``; `done` gets the reply, now or later, in this thread."""
        ticket = Ticket(self, client, done)
        with ticket.told():
            self._take(ticket, headers, query, body)

    def reads(self, project: Project) -> Reads:
        """How the project's store is read."""
        store = project.context.online
        known, reads = self._reads
        if known is not store or reads is None:
            reads = reads_of(store, self.options.store_seconds)
            self._reads = store, reads
        return reads

    def stale_of(self, service: str) -> StaleRecords | None:
        """The records that a service read last, where it may use them."""
        most_age_us = self._stale_if_error_us.get(service)
        if most_age_us is None:
            return None
        if service not in self._stale:
            self._stale[service] = StaleRecords(most_age_us)
        return self._stale[service]

    async def aclose(self) -> None:
        """Let go of the store."""
        _, reads = self._reads
        if reads is not None:
            await reads.aclose()

    def _take(self, ticket: Ticket, headers: Mapping[bytes, bytes], query: str, body: bytes) -> None:
        ticket.enter(headers)
        if len(body) > self.most_body_bytes:
            raise RequestError(413, f"the body is longer than {self.most_body_bytes:,} bytes. Ask for fewer entities.")
        if self.waiting > self.options.most_waiting:
            self.answering.metrics.shed("waiting")
            raise BusyError(self.options.most_waiting)
        ticket.ask(headers, query, body)
        ticket.check_allowed()
        self.breaker.check()
        ticket.look()

    def _probe(self) -> None:
        """Look whether the store is back, until it is."""
        project = self.answering.project
        _log.warning("the online store %s does not answer: requests are refused", project.context.online.location)
        self.loop.call_later(PROBE_SECONDS, self._probe_once)

    def _probe_once(self) -> None:
        self.reads(self.answering.project).probe(self._probed)

    def _probed(self, error: OnlineStoreError | None) -> None:
        if error is None:
            self.breaker.succeeded()
            _log.warning("the online store answers again")
        else:
            self.breaker.failed(error)
            self.loop.call_later(PROBE_SECONDS, self._probe_once)


class Ticket:
    """One request on its way; answered once."""

    __slots__ = (
        "_desk", "_done", "_look", "_project", "_tries", "asked", "at", "began", "caller", "client", "columns", "form",
        "full", "headers", "is_present", "is_stale", "n_rows", "read_began", "read_seconds",
        "request_id", "service",
    )  # fmt: skip

    def __init__(self, desk: Desk, client: Client, done: Done) -> None:
        self._desk, self._done, self.client = desk, done, client
        self._project, self._tries = desk.answering.project, 0
        self.began = time.perf_counter()
        self.form: Form = "json"
        self.is_stale, self.is_present = False, True
        self.read_seconds: float | None = None
        self.request_id = self.service = ""
        desk.waiting += 1

    route = ROUTE
    asked: Asked
    at: int
    caller: Caller
    columns: Columns
    full: bool
    headers: Mapping[bytes, bytes]
    n_rows: int
    read_began: float
    _look: Look

    @property
    def reader(self) -> OnlineReader:
        """What reads the store for it."""
        return self.asked.reader

    def enter(self, headers: Mapping[bytes, bytes]) -> None:
        """Say who asks."""
        self.headers = headers
        self.caller = self._desk.door.enter(headers, self.client)
        self.request_id = self._desk.answering.notes.request_id(headers)

    def check_allowed(self) -> None:
        """Whether the caller may read that: features that are named one by one are of no service."""
        door, name = self._desk.door, self.service
        door.allow(self.caller, "read", None if name == UNNAMED else name, self.client)
        door.charge(self.caller, self.client, self.n_rows)

    def ask(self, headers: Mapping[bytes, bytes], query: str, body: bytes) -> None:
        """Understand what is wanted."""
        form, self.form = forms_of(headers.get(b"content-type", b""), headers.get(b"accept", b""))
        request = parse_request(body, form, query, self._desk.options.most_rows)
        self.is_present = request.at is None
        self.at = request.time(self._project.context.clock())
        self.asked = asked = self._project.asked.of(request)
        self.service, self.full = asked.name, request.full_feature_names
        asked.shape(full=self.full)
        self.columns = asked.columns.parsed(request, self._desk.options.most_rows, form, passes_over=True)
        self.n_rows = next(map(len, self.columns.values()), 1)  # one where a service needs no column

    @property
    def what(self) -> Look:
        """What is to be read."""
        return self._look

    def look(self) -> None:
        """Read the store."""
        self._look = self.reader.look(self.columns)
        self.read_began = time.perf_counter()
        self._desk.reads(self._project).start(self, self._look.keys)

    def found(self, values: Sequence[bytes | None] | None) -> None:
        """The store has answered; with None, that another look is needed."""
        desk = self._desk
        desk.breaker.succeeded()
        if self._done is _told:  # too late
            return
        self.read_seconds = time.perf_counter() - self.read_began
        desk.answering.metrics.store_read(self.read_seconds)
        with self.told():
            if values is None:
                self._settle(None)
                return
            if (kept := desk.stale_of(self.service)) is not None:
                kept.keep(self._look.keys, values, self._project.context.clock())
            if self._is_long():
                work = desk.loop.run_in_executor(None, self._made, values)
                work.add_done_callback(self._settled)
            else:
                self._settle(self._made(values))

    def failed(self, error: HeadraceError) -> None:
        """Tell why there is no answer; or answer from what was read before, where that is allowed."""
        if self._done is _told:
            return
        if is_outage(error):
            if not self._desk.breaker.is_open:
                self._desk.breaker.failed(error)  # type: ignore[arg-type]
            with self.told():
                if (answer := self._old_answer()) is not None:
                    self._settle((answer, self._encoded(answer)))
        if self._done is _told:
            return
        if status_of(error) >= 500 and not isinstance(error, OpenError | BusyError):  # these come by the thousand
            _log.warning("/get-online-features: %s", error)
        self._over(refusal(error))

    def told(self) -> Told:
        """What goes wrong inside is told to the client; a defect must not end other requests."""
        return Told(self)

    def broken(self, error: BaseException) -> None:
        """Tell of a defect, whose traceback is for the log alone."""
        _log.error("/get-online-features failed", exc_info=error)
        self._over(defect())

    def _is_long(self) -> bool:
        asked = self.asked
        return asked.has_on_demand or self.n_rows * len(asked.views) > _IN_LOOP_VALUES

    def _made(self, values: Sequence[bytes | None]) -> tuple[OnlineAnswer, bytes] | None:
        answer = self.reader.answer(self._look, values, self.at)
        return None if answer is None else (answer, self._encoded(answer))

    def _encoded(self, answer: OnlineAnswer) -> bytes:
        shape = self.asked.shape(full=self.full)
        if self.form == "json":
            return shape.json(answer, self.columns)
        if self.form == "msgpack":
            return msgpack(shape.plain(answer, self.columns))
        return arrow(shape, answer, self.asked.keys)

    def _settled(self, work: asyncio.Future[tuple[OnlineAnswer, bytes] | None]) -> None:
        """What a thread made."""
        with self.told():
            self._settle(work.result())

    def _settle(self, made: tuple[OnlineAnswer, bytes] | None) -> None:
        if made is not None:
            answer, body = made
            if self._over(Reply(body, MEDIA_TYPES[self.form])):
                self._desk.answering.notes.served(self._desk.answering, self, answer)
            return
        self._tries += 1
        if self._tries == ATTEMPTS:
            raise self.reader.unsettled()
        self.look()

    def _old_answer(self) -> OnlineAnswer | None:
        kept = self._desk.stale_of(self.service)
        if kept is None:
            return None
        answer = self._answer_of(kept) or self._answer_of(kept)  # a new reader knows the keys only after the heads
        self.is_stale = answer is not None
        return None if answer is None else marked(answer)

    def _answer_of(self, kept: StaleRecords) -> OnlineAnswer | None:
        """What was read before says; None where not all was read, or what was read was missing or damaged."""
        look = self.reader.look(self.columns)
        values = kept.found(look.keys, self._project.context.clock())
        try:
            return None if values is None else self.reader.answer(look, values, self.at)
        except (NotAppliedError, OnlineStoreError):
            return None

    def _over(self, reply: Reply) -> bool:
        """Reply, unless that was done; says whether."""
        if self._done is _told:
            return False
        done, self._done = self._done, _told
        desk, elapsed_seconds = self._desk, time.perf_counter() - self.began
        desk.waiting -= 1
        desk.answering.metrics.answered(ROUTE, reply.status, elapsed_seconds, self.service)
        done(reply._replace(headers=(*reply.headers, ("x-request-id", self.request_id))) if self.request_id else reply)
        desk.answering.notes.told(self, reply.status, elapsed_seconds, desk.answering.store)
        return True


class Told:
    """As a context manager, in a third of the time of a generator's."""

    __slots__ = ("_ticket",)

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket

    def __enter__(self) -> None:
        """Nothing is done before."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None:
            return False
        if isinstance(error, HeadraceError):
            self._ticket.failed(error)
            return True
        if isinstance(error, _ENDS):
            return False
        self._ticket.broken(error)
        return True


def _told(reply: Reply) -> None:
    """A request that was answered already: by then its client had been told that it takes too long."""
