"""What the server tells Prometheus: how long answers take, what they hold, and how fresh views are."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from importlib.metadata import version
from itertools import repeat
from operator import is_
from typing import TYPE_CHECKING, Final, Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from headrace.errors import HeadraceError
from headrace.server.counts import Counter, Histogram, added, packed, restore
from headrace.timeline.packed import STATUSES
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.platform.online_heads import Head

CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
_TEXTS: Final = {status: str(status) for status in (200, 400, 404, 422, 429, 503)}
_SECONDS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_AGES: Final = (1, 5, 15, 60, 300, 900, 3_600, 21_600, 86_400, 604_800)


class Busy(Protocol):
    """What works at requests."""

    waiting: int

    @property
    def breaker(self) -> Broken:
        """Whether the store is left alone."""


class Broken(Protocol):
    """A circuit breaker."""

    is_open: bool


class Metrics:
    """The metrics of one server.

    Parameters
    ----------
    heads : callable
        What the online store holds of each view; asked at each scrape. It may raise `HeadraceError`.
    clock : callable
        Now, in microseconds UTC.
    store : str
        Which store is read: ``redis``, ``lmdb``, ….
    """

    def __init__(self, heads: Callable[[], Mapping[str, Head]], clock: Callable[[], int], store: str = "") -> None:
        self._store, self._busy = store, None
        self._seconds = Histogram(
            "headrace_request_seconds", "How long requests took, in seconds.", ["route", "service", "status"], _SECONDS
        )
        self._reads = Histogram(
            "headrace_store_read_seconds", "How long the online store took to answer, in seconds.", ["store"], _SECONDS
        )
        self._ages = Histogram(
            "headrace_value_age_seconds", "How old the oldest value of each answer was, by its event time.", ["view"],
            _AGES,
        )  # fmt: skip
        self._values = Counter("headrace_values", "Feature values in answers.", ["view", "status"])
        self._shed = Counter("headrace_shed", "Requests that were refused to keep others fast.", ["reason"])
        self._log_rows = Counter("headrace_served_log_rows", "Rows handed to the log of what was served.", [])
        self._log_dropped = Counter("headrace_served_log_dropped", "Rows that the log could not take.", [])
        self.counted = (
            self._seconds, self._reads, self._ages, self._values, self._shed, self._log_rows, self._log_dropped
        )  # fmt: skip
        self.others: Callable[[], Iterable[bytes]] = list
        """What other workers of the same server counted."""
        self.tell: Callable[[bytes], None] | None = None
        """Tells them what is counted here."""
        self._heads, self._clock = heads, clock

    _busy: Busy | None

    def watch(self, busy: Busy) -> None:
        """Tell how many requests wait there, and whether the store is left alone."""
        self._busy = busy

    def answered(self, route: str, status: int, seconds: float, service: str = "") -> None:
        """Count one request."""
        self._seconds.observe((route, service, _TEXTS.get(status) or str(status)), seconds)

    def store_read(self, seconds: float) -> None:
        """Count one look at the store."""
        self._reads.observe((self._store,), seconds)

    def shed(self, reason: str) -> None:
        """Count a request that was refused."""
        self._shed.add((reason,))

    def logged(self, rows: int, dropped: int) -> None:
        """Count what went to the log of what was served."""
        self._log_rows.add((), rows)
        self._log_dropped.add((), dropped)

    def values(
        self,
        views: Sequence[str],
        statuses: Sequence[tuple[int, ...]],
        time_columns: Sequence[Sequence[int | None]] = (),
        at: int = 0,
    ) -> None:
        """Count the values of an answer, and the age of the oldest of each view.

        Parameters
        ----------
        views : sequence of str
            The view of each feature.
        statuses : sequence of tuple of int
            For each entity the status of each feature: places in `STATUSES`.
        time_columns : sequence of sequence
            For each feature when the newest row behind each entity's value happened, in microseconds.
        at : int
            The answer's time, in microseconds.
        """
        for row, number in _distinct(statuses):
            for labels, in_a_row in _tally(tuple(views), row):
                self._values.add(labels, number * in_a_row)
        known = None
        for view, times_or_none in zip(views, time_columns, strict=False):
            if times_or_none is known:  # features of one view have the same event times
                continue
            known = times_or_none
            times = [time for time in times_or_none if time is not None]
            if times:
                self._ages.observe((view,), (at - min(times)) / SECOND)

    def pack(self) -> bytes:
        """What was counted so far, for other workers."""
        return packed(self.counted)

    def restore(self, raw: bytes) -> None:
        """Go on from what a worker in the same place counted; nothing, if there was none."""
        if raw:
            restore(self.counted, raw)

    def told(self) -> bytes:
        """What was counted so far, once other workers know it too: who is scraped next must not say less."""
        raw = self.pack()
        if self.tell is not None:
            self.tell(raw)
        return raw

    def text(self, own: bytes | None = None) -> bytes:
        """All metrics in Prometheus' text format.

        Parameters
        ----------
        own : bytes, optional
            What this worker counted, as of `told`; what it has counted now without.
        """
        registry = CollectorRegistry()
        registry.register(_Collected(partial(self._families, self.pack() if own is None else own)))
        return generate_latest(registry)

    def _families(self, own: bytes) -> Iterator[Metric]:
        total = added((), [own, *self.others()])
        yield from (each.family(total[each.name]) for each in self.counted)
        yield InfoMetricFamily("headrace_build", "The version of headrace.", {"version": version("headrace")})
        if self._busy is not None:
            waiting = GaugeMetricFamily("headrace_inflight_requests", "Requests that this worker works at.")
            waiting.add_metric([], self._busy.waiting)
            is_open = GaugeMetricFamily(
                "headrace_breaker_open",
                "Whether the store is left alone as it does not answer, 1 or 0.",
                labels=["store"],
            )
            is_open.add_metric([self._store], self._busy.breaker.is_open)
            yield from (waiting, is_open)
        yield from _views(self._heads, self._clock())


class _Collected:
    """Families that are made at each scrape."""

    def __init__(self, families: Callable[[], Iterator[Metric]]) -> None:
        self._families = families

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The families."""
        return self._families()


def _distinct(statuses: Sequence[tuple[int, ...]]) -> Iterable[tuple[tuple[int, ...], int]]:
    """Most entities have the same statuses, so these are counted first; often it is the same tuple."""
    if statuses and all(map(is_, statuses, repeat(statuses[0]))):
        return ((statuses[0], len(statuses)),)
    return Counts(statuses).items()


@lru_cache(maxsize=4096)
def _tally(views: tuple[str, ...], row: tuple[int, ...]) -> list[tuple[tuple[str, str], int]]:
    """How often each view has each status in one entity's row."""
    return [*Counts((view, STATUSES[status]) for view, status in zip(views, row, strict=True)).items()]


def _views(heads: Callable[[], Mapping[str, Head]], now: int) -> Iterator[Metric]:
    """Four gauges; those of views are missing, and the first is 0, while the store can't be read."""
    up = GaugeMetricFamily("headrace_online_store_up", "Whether the online store could be read, 1 or 0.")
    number = GaugeMetricFamily("headrace_view_version", "The version of a view that is served.", labels=["view"])
    frontier = GaugeMetricFamily(
        "headrace_view_frontier_seconds", "Through when a view is computed, in seconds since 1970.", labels=["view"]
    )
    lag = GaugeMetricFamily("headrace_view_lag_seconds", "How long ago a view's frontier is.", labels=["view"])
    try:
        found = heads()
    except HeadraceError:
        up.add_metric([], 0)
        found = {}
    else:
        up.add_metric([], 1)
    for view, head in found.items():
        number.add_metric([view], head.number)
        frontier.add_metric([view], head.frontier / SECOND)
        lag.add_metric([view], (now - head.frontier) / SECOND)
    yield from (up, number, frontier, lag)
