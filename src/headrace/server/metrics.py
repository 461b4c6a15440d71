"""What the server tells Prometheus: how long answers take, what they hold, and how fresh views are."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from headrace.errors import HeadraceError
from headrace.timeline.packed import STATUSES
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.platform.online_heads import Head

CONTENT_TYPE: Final = "text/plain; version=1.0.0; charset=utf-8"
_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """The metrics of one server, in a registry of their own.

    Parameters
    ----------
    heads : callable
        What the online store holds of each view; asked at each scrape. It may raise `HeadraceError`.
    clock : callable
        Now, in microseconds UTC.
    """

    def __init__(self, heads: Callable[[], Mapping[str, Head]], clock: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._seconds = Histogram(
            "headrace_request_seconds", "How long requests took, in seconds.", ["route", "status"], buckets=_BUCKETS,
            registry=self._registry,
        )  # fmt: skip
        self._values = Counter(
            "headrace_values", "Feature values in answers.", ["view", "status"], registry=self._registry
        )
        Info("headrace_build", "The version of headrace.", registry=self._registry).info(
            {"version": version("headrace")}
        )
        self._registry.register(_Views(heads, clock))

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._seconds.labels(route, status).observe(seconds)

    def values(self, views: Sequence[str], statuses: Iterable[Sequence[int]]) -> None:
        """Count the values of an answer.

        Parameters
        ----------
        views : sequence of str
            The view of each feature.
        statuses : iterable of sequence of int
            For each entity the status of each feature: places in `STATUSES`.
        """
        for (view, status), number in _tally(views, statuses).items():
            self._values.labels(view, STATUSES[status]).inc(number)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)


def _tally(views: Sequence[str], statuses: Iterable[Sequence[int]]) -> Counts[tuple[str, int]]:
    """Most entities have the same statuses, so these are counted first."""
    found: Counts[tuple[str, int]] = Counts()
    for row, number in Counts(map(tuple, statuses)).items():
        for pair in zip(views, row, strict=True):
            found[pair] += number
    return found


class _Views:
    """Asks the store at each scrape, so that a publication shows without a request."""

    def __init__(self, heads: Callable[[], Mapping[str, Head]], clock: Callable[[], int]) -> None:
        self._heads = heads
        self._clock = clock

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Four gauges; those of views are missing, and the first is 0, while the store can't be read."""
        up = GaugeMetricFamily("headrace_online_store_up", "Whether the online store could be read, 1 or 0.")
        number = GaugeMetricFamily("headrace_view_version", "The version of a view that is served.", labels=["view"])
        frontier = GaugeMetricFamily(
            "headrace_view_frontier_seconds", "Through when a view is computed, in seconds since 1970.", labels=["view"]
        )
        lag = GaugeMetricFamily("headrace_view_lag_seconds", "How long ago a view's frontier is.", labels=["view"])
        try:
            found = self._heads()
        except HeadraceError:
            up.add_metric([], 0)
            found = {}
        else:
            up.add_metric([], 1)
        now = self._clock()
        for view, head in found.items():
            number.add_metric([view], head.number)
            frontier.add_metric([view], head.frontier / SECOND)
            lag.add_metric([view], (now - head.frontier) / SECOND)
        yield from (up, number, frontier, lag)
