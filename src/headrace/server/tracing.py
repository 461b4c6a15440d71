"""Traces of requests for OpenTelemetry, where somebody collects them: nothing is loaded while nobody does.

A request is only noted while it is answered, which takes a microsecond; a thread makes spans of the notes, and sends
them. The variables of OpenTelemetry say where to, what the service is called and which requests are sampled.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from headrace.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer as OpenTracer

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PARENT: Final = ("traceparent", "tracestate")
_MOST_NOTES: Final = 8_192
_SECONDS: Final = 0.5
_FLUSH_MILLISECONDS: Final = 2_000
Headers = Mapping[bytes, bytes] | Mapping[str, str]


def tracer_of(environment: Mapping[str, str]) -> Tracer | None:
    """What traces requests; None unless the environment says where traces go.

    Parameters
    ----------
    environment : mapping of str to str
        The process's: ``OTEL_EXPORTER_OTLP_ENDPOINT``, or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`` for traces alone.
        ``OTEL_SDK_DISABLED=true`` and ``OTEL_TRACES_EXPORTER=none`` switch it off. The other variables of
        OpenTelemetry (service name, headers, sampler) are read by its own packages.

    Raises
    ------
    SettingsError
        If the packages are not installed, or the place is no URL of HTTP.

    Examples
    --------
    >>> tracer_of({}) is None
    True
    """
    endpoint = _endpoint(environment)
    if endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise SettingsError(
            f"{_ENDPOINT} is set, but what sends traces is not installed: pip install 'headrace[otel]', or unset it."
        ) from error
    return Tracer(OTLPSpanExporter(endpoint=endpoint))


def _endpoint(environment: Mapping[str, str]) -> str | None:
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return None
    variable, url = _TRACES_ENDPOINT, environment.get(_TRACES_ENDPOINT, "").strip()
    if not url:
        variable, url = _ENDPOINT, environment.get(_ENDPOINT, "").strip()
        url = f"{url.rstrip('/')}/v1/traces" if url else ""
    if url and not url.startswith(("http://", "https://")):
        raise SettingsError(f"{variable}: {url!r} is no URL of HTTP. Write it as in http://127.0.0.1:4318.")
    return url or None


@dataclass(frozen=True, slots=True)
class StoreRead:
    """When the online store was read for a request.

    Parameters
    ----------
    store : str
        Which: ``redis``, ``lmdb``, ….
    began_ns, ended_ns : int
        Nanoseconds since 1970, as of `time.time_ns`.
    """

    store: str
    began_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True)
class _Note:
    """A request that was answered."""

    name: str
    parent: dict[str, str]
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, Any]
    read: StoreRead | None


class Tracer:
    """Notes requests, and sends their spans from a thread of its own, which the first request starts.

    Parameters
    ----------
    exporter : SpanExporter
        Where spans go.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._notes: deque[_Note] = deque(maxlen=_MOST_NOTES)  # the oldest are lost where requests come too fast
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def request(
        self, name: str, headers: Headers, began_ns: int, ended_ns: int, attributes: Mapping[str, Any],
        read: StoreRead | None = None,
    ) -> None:  # fmt: skip
        """Note a request that was answered.

        Parameters
        ----------
        name : str
            The span's, such as ``POST /get-online-features``.
        headers : mapping of str to str, or bytes to bytes
            The request's, with names in lower case: the caller's trace goes on where ``traceparent`` names one.
        began_ns, ended_ns : int
            Nanoseconds since 1970, as of `time.time_ns`.
        attributes : mapping of str to value
            ``http.route``, ``http.response.status_code``, ``headrace.service``, ``headrace.entities`` and the like:
            never a key or a value. A status of 500 or above makes the span an error.
        read : StoreRead, optional
            When the store was read, which becomes a span below it.
        """
        self._notes.append(_Note(name, _parent(headers), began_ns, ended_ns, attributes, read))
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """Send what is noted, for two seconds at most."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=_FLUSH_MILLISECONDS / 1_000)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="traces", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        provider = _provider(self._exporter)
        tracer = provider.get_tracer("headrace.server")
        while not self._stop.wait(_SECONDS):
            self._make_spans(tracer)
        self._make_spans(tracer)
        provider.force_flush(_FLUSH_MILLISECONDS)
        provider.shutdown()

    def _make_spans(self, tracer: OpenTracer) -> None:
        while self._notes:
            _make_spans(tracer, self._notes.popleft())


def epoch_ns(ticks: float) -> int:
    """A moment of `time.perf_counter` as nanoseconds since 1970, which spans want.

    Examples
    --------
    >>> abs(epoch_ns(time.perf_counter()) - time.time_ns()) < 10**9
    True
    """
    return time.time_ns() - int((time.perf_counter() - ticks) * 1e9)


def _parent(headers: Any) -> dict[str, str]:
    """The headers by which a caller names its trace."""
    found = {}
    for name in _PARENT:
        value = headers.get(name) or headers.get(name.encode())
        if value:
            found[name] = value if isinstance(value, str) else value.decode("latin-1")
    return found


def _provider(exporter: SpanExporter) -> TracerProvider:
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource({SERVICE_NAME: "headrace"}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _make_spans(tracer: OpenTracer, note: _Note) -> None:
    from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract(note.parent)
    span = tracer.start_span(
        note.name, context, kind=SpanKind.SERVER, attributes=note.attributes, start_time=note.began_ns
    )
    if note.attributes.get("http.response.status_code", 0) >= 500:
        span.set_status(StatusCode.ERROR)
    if note.read is not None:
        below = tracer.start_span(
            "read the online store", set_span_in_context(span), kind=SpanKind.CLIENT,
            attributes={"db.system.name": note.read.store}, start_time=note.read.began_ns,
        )  # fmt: skip
        below.end(note.read.ended_ns)
    span.end(note.ended_ns)
