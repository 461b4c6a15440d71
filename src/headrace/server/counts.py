"""Counters and histograms that cost little to count with, and that processes can add up.

A worker writes its counts to a file now and then; whichever worker is asked adds up all files. A worker that is
started in another's place goes on with its file, so that counters never fall.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

Labels = tuple[str, ...]


class Counter:
    """A number by labels that only grows.

    Examples
    --------
    >>> counter = Counter("pings", "How many.", ["view"])
    >>> counter.add(("driver_now",), 2)
    >>> counter.held
    {('driver_now',): 2}
    """

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self.name, self.text, self.labels = name, text, list(labels)
        self.held: dict[Labels, float] = {}

    def add(self, labels: Labels, number: float = 1) -> None:
        """Count."""
        self.held[labels] = self.held.get(labels, 0) + number

    def family(self, held: dict[Labels, Any]) -> Metric:
        """For Prometheus."""
        family = CounterMetricFamily(self.name, self.text, labels=self.labels)
        for labels, number in held.items():
            family.add_metric(labels, number)
        return family


class Histogram:
    """How often a number fell into each range, by labels.

    Parameters
    ----------
    name, text, labels
        As of Prometheus.
    bounds : sequence of float
        The ranges' upper bounds, inclusive, ascending; what is above them all is counted as well.

    Examples
    --------
    >>> histogram = Histogram("seconds", "How long.", ["route"], (0.1, 1.0))
    >>> for seconds in (0.1, 0.5, 7.0):
    ...     histogram.observe(("/",), seconds)
    >>> histogram.held
    {('/',): [1, 1, 1, 7.6]}
    """

    def __init__(self, name: str, text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        self.name, self.text, self.labels, self._bounds = name, text, list(labels), tuple(bounds)
        self.held: dict[Labels, list[float]] = {}

    def observe(self, labels: Labels, number: float) -> None:
        """Count one number; the last place is their sum."""
        held = self.held.get(labels)
        if held is None:
            held = self.held[labels] = [0] * (len(self._bounds) + 2)
        held[bisect_left(self._bounds, number)] += 1
        held[-1] += number

    def family(self, held: dict[Labels, Any]) -> Metric:
        """For Prometheus, whose ranges hold those below them."""
        family = HistogramMetricFamily(self.name, self.text, labels=self.labels)
        bounds = [*map(str, map(float, self._bounds)), "+Inf"]
        for labels, counted in held.items():
            below, buckets = 0.0, []
            for bound, number in zip(bounds, counted, strict=False):
                below += number
                buckets.append((bound, below))
            family.add_metric(labels, buckets, counted[-1])
        return family


Counted = Counter | Histogram
_plain: Final = msgspec.msgpack.Decoder(dict[str, list[tuple[Labels, float | list[float]]]])


def packed(counted: Iterable[Counted]) -> bytes:
    """What was counted, as bytes."""
    return msgspec.msgpack.encode({each.name: [*each.held.items()] for each in counted})


def added(counted: Sequence[Counted], others: Iterable[bytes]) -> dict[str, dict[Labels, Any]]:
    """What was counted here and in others' bytes, by name."""
    total: dict[str, dict[Labels, Any]] = {each.name: dict(each.held) for each in counted}
    for raw in others:
        for name, held in _plain.decode(raw).items():
            mine = total.setdefault(name, {})
            for labels, value in held:
                mine[labels] = value if labels not in mine else _sum(mine[labels], value)
    return total


def restore(counted: Iterable[Counted], raw: bytes) -> None:
    """Go on from what was counted before."""
    held = _plain.decode(raw)
    for each in counted:
        each.held.update(held.get(each.name, ()))  # type: ignore[arg-type]


def _sum(one: Any, other: Any) -> Any:
    return [a + b for a, b in zip(one, other, strict=True)] if isinstance(one, list) else one + other
