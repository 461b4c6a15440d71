"""The shortest way from a socket to the desk: requests for features are answered below ASGI.

uvicorn's own protocol does everything else: it parses, keeps connections alive and closes them, drains at the end, and
runs the application for other paths. An application costs a task, a scope and two messages a request, which is more
than all that is done for the answer.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from headrace.server.replies import Reply

if TYPE_CHECKING:
    from headrace.server.desk import Desk

FEATURES: Final = b"/get-online-features"


class _Unread:
    """A body that is not wanted any more: who waits for it is told nothing."""

    def set(self) -> None:
        """Nobody waits."""


_UNREAD: Final = _Unread()


class Exchange:
    """One request for features on a connection, to uvicorn a request like any other."""

    __slots__ = ("body", "disconnected", "headers", "keep_alive", "message_event", "query", "response_complete")

    def __init__(self, headers: list[tuple[bytes, bytes]], query: str, *, keep_alive: bool) -> None:
        self.headers, self.query, self.keep_alive = headers, query, keep_alive
        self.body = b""
        self.response_complete = self.disconnected = False
        self.message_event = _UNREAD


class Front(HttpToolsProtocol):
    """One connection of uvicorn's, with a desk in front."""

    desk: Desk
    _always: ClassVar[Any] = None
    _always_text: ClassVar[bytes] = b""

    def on_message_begin(self) -> None:
        """Begin a request; what only the application needs is made later."""
        self.url, self.expect_100_continue, self.headers = b"", False, []

    def on_headers_complete(self) -> None:
        """Take a request for features; hand others to the application, in their turn."""
        path, _, query = self.url.partition(b"?")
        if path != FEATURES or self.expect_100_continue or not self._is_next() or self.parser.get_method() != b"POST":
            self._hand_on()
            return
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        exchange: Any = Exchange(self.headers, query.decode("latin-1"), keep_alive=keep_alive)
        self.cycle = exchange

    def _hand_on(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expect
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep what comes, up to the limit."""
        exchange: Any = self.cycle
        if type(exchange) is not Exchange:
            super().on_body(body)
        elif len(exchange.body) <= self.desk.most_body_bytes:
            exchange.body = exchange.body + body if exchange.body else body

    def on_message_complete(self) -> None:
        """Ask the desk."""
        exchange: Any = self.cycle
        if type(exchange) is not Exchange:
            super().on_message_complete()
            return
        done = partial(self.answer_with, exchange)
        self.desk.features(dict(exchange.headers), exchange.query, exchange.body, self.client, done)

    def answer_with(self, exchange: Exchange, reply: Reply) -> None:
        """Send the reply, unless the client went."""
        exchange.response_complete = True
        if exchange.disconnected or self.transport.is_closing():
            return
        always = self.server_state.default_headers
        if Front._always is not always:  # uvicorn makes them anew each second
            Front._always, Front._always_text = always, b"".join(b"%b: %b\r\n" % pair for pair in always)
        more = "".join(f"{name}: {value}\r\n" for name, value in reply.headers) if reply.headers else ""
        end = "\r\n" if exchange.keep_alive else "connection: close\r\n\r\n"
        head = f"{more}content-type: {reply.media_type}\r\ncontent-length: {len(reply.body)}\r\n{end}"
        self.transport.write(
            b"".join((STATUS_LINE[reply.status], Front._always_text, head.encode("latin-1"), reply.body))
        )
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def on_response_complete(self) -> None:
        """Go on with what was asked meanwhile; else a timer that runs already looks whether anything comes."""
        self._answered_at = self.loop.time()
        if self.pipeline or self.timeout_keep_alive_task is None:
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()

    def _unset_keepalive_if_required(self) -> None:
        """Let the timer run: to set one for each request costs more than to look once too often."""

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which nothing is asked for long."""
        self.timeout_keep_alive_task = None
        idle_seconds = self.loop.time() - self._answered_at
        if not self._is_next():
            return  # an answer is on its way, and sets the timer again
        if idle_seconds < self.timeout_keep_alive:
            rest = self.timeout_keep_alive - idle_seconds
            self.timeout_keep_alive_task = self.loop.call_later(rest, self.timeout_keep_alive_handler)
            return
        super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is to be looked at any more."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None
        super().connection_lost(exc)

    def _is_next(self) -> bool:
        """Whether all that was asked before on this connection has been answered."""
        before: Any = self.cycle
        return before is None or before.response_complete


def front_of(own: Desk) -> type[Front]:
    """The protocol with a desk in front.

    Parameters
    ----------
    own : Desk
        What answers; of the same event loop.
    """

    class Own(Front):
        desk = own

    return Own
