"""The shortest way from a socket to the desk: requests for features are answered below ASGI.

uvicorn's own protocol does everything else: it parses, keeps connections alive and closes them, drains at the end, and
runs the application for other paths. An application costs a task, a scope and two messages a request, which is more
than all that is done for the answer.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from headrace.server.replies import Reply

if TYPE_CHECKING:
    from headrace.server.desk import Desk

FEATURES: Final = b"/get-online-features"
MOST_HEAD_BYTES: Final = 64 << 10
"""A head that comes in parts may be that long; the parser itself would take any."""
_OFFER: Final = (b"connection", b"upgrade", b"http2-settings")
_TOO_LONG: Final = STATUS_LINE[431] + b"content-length: 0\r\nconnection: close\r\n\r\n"


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
        self.body: bytes | bytearray = b""
        self.response_complete = self.disconnected = False
        self.message_event = _UNREAD


class Front(HttpToolsProtocol):
    """One connection of uvicorn's, with a desk in front."""

    desk: Desk
    _always: ClassVar[Any] = None
    _always_text: ClassVar[bytes] = b""
    _in_head = False
    _head: Any = None
    _seen_head: Any = None
    _head_bytes = 0
    _unsent_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Read on."""
        rest = self._fed(data)
        while rest is not None:
            rest = self._fed(self._head_without_offer() + rest)
        if self._in_head:  # most come whole
            self._check_head(len(data))

    def _fed(self, data: bytes) -> bytes | None:
        """Parse; the rest where a request offers to go on in another protocol, such as HTTP/2."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            if any(name == b"upgrade" for name, _ in self.headers):
                return data[offer.args[0] :]
            self.send_400_response("There is nothing to connect to.")
        except httptools.HttpParserError:
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response("Invalid HTTP request received.")
        return None

    def _head_without_offer(self) -> bytes:
        """The head again, for a new parser: the one that met the offer would lose the request's body.

        Java's client makes the offer with each first request.
        """
        method, url, headers = self.parser.get_method(), self.url, self.headers
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        fields = [b"%b: %b\r\n" % pair for pair in headers if pair[0] not in _OFFER]
        if any(name == b"connection" and b"close" in value.lower() for name, value in headers):
            fields.append(b"connection: close\r\n")
        return b"".join((method, b" ", url, b" HTTP/1.1\r\n", *fields, b"\r\n"))

    def _check_head(self, n_bytes: int) -> None:
        """Close a connection whose request's head does not end; what came with its first part may be another's."""
        if self._head is not self.headers:
            self._head, self._head_bytes = self.headers, 0
            return
        self._head_bytes += n_bytes
        if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
            if self._is_next():
                self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin a request; what only the application needs is made later."""
        self.url, self.expect_100_continue, self.headers, self._in_head = b"", False, [], True

    def on_headers_complete(self) -> None:
        """Take a request for features; hand others to the application, in their turn."""
        self._in_head = False
        if self.parser.should_upgrade():  # the head will be read again
            return
        path, _, query = self.url.partition(b"?")
        if path != FEATURES or self.expect_100_continue or not self._is_next() or self.parser.get_method() != b"POST":
            self._hand_on()
            return
        keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        exchange: Any = Exchange(self.headers, query.decode("latin-1"), keep_alive=keep_alive)
        self.cycle = exchange

    def _hand_on(self) -> None:
        url, headers, expect = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # of uvicorn
        self.url, self.expect_100_continue = url, expect
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Keep what comes, up to the limit."""
        exchange: Any = self.cycle
        if type(exchange) is not Exchange:
            super().on_body(body)
        elif not exchange.body:
            exchange.body = body
        elif len(exchange.body) <= self.desk.most_body_bytes:
            if type(exchange.body) is bytes:  # to add to which would copy it each time
                exchange.body = bytearray(exchange.body)
            exchange.body += body

    def on_message_complete(self) -> None:
        """Ask the desk."""
        if self.parser.should_upgrade():
            return
        exchange: Any = self.cycle
        if type(exchange) is not Exchange:
            super().on_message_complete()
            return
        done, body = partial(self.answer_with, exchange), exchange.body
        whole = body if type(body) is bytes else bytes(body)
        self.desk.features(dict(exchange.headers), exchange.query, whole, self.client, done)

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
        if self.flow.write_paused:
            self.flow.pause_reading()

    def pause_writing(self) -> None:
        """Take no more requests from a client that does not read its answers: they would pile up here."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Go on."""
        super().resume_writing()
        if not self.pipeline:
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
            self._look_again(self.timeout_keep_alive - idle_seconds)
        elif self._in_head and self._seen_head is not self.headers:  # one has begun to come: it has as long again
            self._seen_head = self.headers
            self._look_again(self.timeout_keep_alive)
        elif (unsent := self.transport.get_write_buffer_size()) and unsent != self._unsent_bytes:
            self._unsent_bytes = unsent  # it reads, slowly
            self._look_again(self.timeout_keep_alive)
        elif unsent:
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def _look_again(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def connection_made(self, transport: Any) -> None:
        """Whoever connects is to ask something soon."""
        super().connection_made(transport)
        self._answered_at = self.loop.time()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

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
