"""Traces, as a collector gets them over HTTP."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from headrace.errors import SettingsError
from headrace.server.tracing import StoreRead, Tracer, tracer_of

collector_pb = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ATTRIBUTES = {
    "http.route": "/get-online-features", "http.response.status_code": 200, "headrace.service": "model",
    "headrace.entities": 10,
}  # fmt: skip


class Collector:
    """Takes traces by OTLP over HTTP."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.services: list[str] = []
        self.spans: list[Any] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(self.path, body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        self.paths.append(path)
        for resource in collector_pb.ExportTraceServiceRequest.FromString(body).resource_spans:
            named = {each.key: each.value.string_value for each in resource.resource.attributes}
            self.services.append(named["service.name"])
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def tracer_to(collector: Collector) -> Tracer:
    tracer = tracer_of({"OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/"})
    assert tracer is not None
    return tracer


def told(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_request_and_its_read_of_the_store_are_spans_of_the_callers_trace(
    collector: Collector, as_bytes: bool
) -> None:
    parent = f"00-{TRACE}-{CALLER}-01"
    headers: Any = {b"traceparent": parent.encode(), b"host": b"x"} if as_bytes else {"traceparent": parent}
    now = time.time_ns()
    tracer = tracer_to(collector)
    read = StoreRead("redis", now + 200_000, now + 700_000)
    tracer.request("POST /get-online-features", headers, now, now + 1_000_000, ATTRIBUTES, read)
    tracer.close()
    spans = {span.name: span for span in collector.spans}
    request, below = spans["POST /get-online-features"], spans["read the online store"]
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, CALLER)
    assert (below.trace_id, below.parent_span_id) == (request.trace_id, request.span_id)
    assert (request.start_time_unix_nano, request.end_time_unix_nano) == (now, now + 1_000_000)
    assert (below.start_time_unix_nano, below.end_time_unix_nano) == (now + 200_000, now + 700_000)
    assert told(request) == ATTRIBUTES
    assert told(below) == {"db.system.name": "redis"}
    assert request.status.code == 0
    assert collector.paths == ["/v1/traces"]
    assert collector.services == ["headrace"]


def test_without_a_caller_each_request_is_a_trace_of_its_own(collector: Collector) -> None:
    tracer = tracer_to(collector)
    for status in (200, 503):
        tracer.request("GET /x", {}, 1, 2, {"http.response.status_code": status})
    tracer.close()
    assert len({span.trace_id for span in collector.spans}) == 2
    assert [span.parent_span_id for span in collector.spans] == [b"", b""]
    assert [span.status.code for span in collector.spans] == [0, 2], "the server's own failures alone are errors"


def test_a_caller_that_is_not_sampled_is_not_sent(collector: Collector) -> None:
    tracer = tracer_to(collector)
    tracer.request("GET /x", {"traceparent": f"00-{TRACE}-{CALLER}-00"}, 1, 2, {})
    tracer.request("GET /y", {"traceparent": "nonsense"}, 1, 2, {})
    tracer.close()
    assert [span.name for span in collector.spans] == ["GET /y"]


def test_noting_takes_microseconds(collector: Collector) -> None:
    tracer = tracer_to(collector)
    tracer.request("GET /x", {}, 1, 2, ATTRIBUTES)
    headers = {b"host": b"x", b"traceparent": f"00-{TRACE}-{CALLER}-00".encode()}
    took = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(1_000):
            tracer.request("GET /x", headers, 1, 2, ATTRIBUTES)
        took.append((time.perf_counter() - began) / 1_000)
    tracer.close()
    assert min(took) < 50e-6, "some 2 microseconds on a machine that does nothing else"


def test_a_collector_that_is_gone_does_not_hold_up_the_end(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    tracer = tracer_of({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"})
    assert tracer is not None
    tracer.request("GET /x", {}, 1, 2, {})
    began = time.monotonic()
    tracer.close()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_nobody_traces_where_it_is_not_asked_for(environment: dict[str, str]) -> None:
    assert tracer_of(environment) is None


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"'127.0.0.1:4317/v1/traces' is no URL of HTTP"):
        tracer_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4317"})


def test_nothing_is_loaded_while_it_is_off() -> None:
    program = (
        "import sys; from headrace.server.tracing import tracer_of; assert tracer_of({}) is None;"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
