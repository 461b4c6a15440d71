"""What Prometheus is told of streams: what their workers said last, read at each scrape.

The workers write it to a folder, so any process that sees the lake can serve it: register a `StreamCollector`
in its registry.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from headrace.errors import HeadraceError
from headrace.server.stream_measures import MEASURES, Measure

if TYPE_CHECKING:
    from headrace.streaming.status import StreamStatus

_log: Final = logging.getLogger(__name__)


class StreamCollector:
    """Asks for the streams' statuses at each scrape.

    Parameters
    ----------
    read : callable
        The statuses of all workers, as `headrace.platform.stream_status.stream_status` gives them. It may raise
        `HeadraceError`.
    """

    def __init__(self, read: Callable[[], Sequence[StreamStatus]]) -> None:
        self._read = read

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked before the first scrape."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The metrics of each worker; only the first, which is 0, while what they said can't be read."""
        readable = GaugeMetricFamily(
            "headrace_stream_status_readable", "Whether what streams say of themselves could be read, 1 or 0."
        )
        try:
            found = self._read()
        except HeadraceError as error:
            _log.warning("metrics of streams: %s", error)
            readable.add_metric([], 0)
            yield readable
            return
        readable.add_metric([], 1)
        yield readable
        yield from (_family(measure, found) for measure in MEASURES)


def metrics_text(read: Callable[[], Sequence[StreamStatus]]) -> bytes:
    """The metrics of streams alone, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(StreamCollector(read))
    return generate_latest(registry)


def _family(measure: Measure, found: Sequence[StreamStatus]) -> Metric:
    name = f"headrace_stream_{measure.name}"
    family = Metric(name.removesuffix("_total"), measure.text, measure.kind)
    names = ("source", "worker", *measure.labels)
    for status in found:
        for labels, value in measure.values(status):
            family.add_sample(name, dict(zip(names, (status.source, str(status.worker), *labels), strict=True)), value)
    return family
