"""A door to DynamoDB Local that lets a few items through at a time, as the service does when it is busy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TARGET = "X-Amz-Target"
UNPROCESSED = {"BatchGetItem": "UnprocessedKeys", "BatchWriteItem": "UnprocessedItems"}


class Door:
    """Where to knock, how many items are let through at once, and how many of each operation came."""

    def __init__(self, address: str, behind: str, most_items: int) -> None:
        self.address, self.behind, self.most_items = address, behind, most_items
        self.calls: dict[str, int] = {}


@contextmanager
def throttled(behind: str, most_items: int) -> Iterator[Door]:
    """A door before a server's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            operation = self.headers[TARGET].rpartition(".")[2]
            door.calls[operation] = door.calls.get(operation, 0) + 1
            status, answer = _answered(door, operation, dict(self.headers), self.rfile.read(_length(self.headers)))
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    door = Door(f"127.0.0.1:{server.server_address[1]}", behind, most_items)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _length(headers: Any) -> int:
    return int(headers["Content-Length"])


def _answered(door: Door, operation: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    left = UNPROCESSED.get(operation)
    if operation == "BatchExecuteStatement":
        return _some_statements(door, headers, json.loads(body)["Statements"])
    if left is None:
        return _forwarded(door, headers, body)
    request = json.loads(body)
    ((table, own),) = request["RequestItems"].items()
    items = own["Keys"] if operation == "BatchGetItem" else own
    now, later = items[: door.most_items], items[door.most_items :]
    answer: dict[str, Any] = {"Responses": {table: []}}
    if now:
        request["RequestItems"] = {table: _with(own, now)}
        status, told = _forwarded(door, headers, json.dumps(request).encode())
        if status != 200:
            return status, told
        answer = json.loads(told)
    answer[left] = {table: _with(own, later)} if later else {}
    return 200, json.dumps(answer).encode()


def _some_statements(door: Door, headers: dict[str, str], statements: list[Any]) -> tuple[int, bytes]:
    now, later = statements[: door.most_items], statements[door.most_items :]
    answers = []
    if now:
        status, told = _forwarded(door, headers, json.dumps({"Statements": now}).encode())
        if status != 200:
            return status, told
        answers = json.loads(told)["Responses"]
    answers += [{"Error": {"Code": "ThrottlingError", "Message": "too many"}} for _ in later]
    return 200, json.dumps({"Responses": answers}).encode()


def _with(own: Any, items: list[Any]) -> Any:
    return {**own, "Keys": items} if isinstance(own, dict) else items


def _forwarded(door: Door, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
    connection = HTTPConnection(door.behind)
    kept = {name: text for name, text in headers.items() if name.lower() not in {"host", "content-length"}}
    connection.request("POST", "/", body, kept)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found
