"""What is true of the records that were sent, as the simulator knows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from data_platform.live.arriving import GPS_TOPIC, RIDES_TOPIC, Arrivals
from data_platform.live.producing import Producer
from data_platform.simulator.faults import CORRUPT_KINDS, FUTURE
from headrace.quality.base import UTC
from headrace.streaming.status import StreamStatus

REFUSED: Final = (FUTURE, *(kind for kind in CORRUPT_KINDS if kind != "corrupt_speed_nan"))
"""JSON has no NaN: there it is null, which a speed may be."""
LATE_SECONDS: Final = 10
TOPICS: Final = {"gps": GPS_TOPIC, "rides": RIDES_TOPIC}

Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent to one topic.

    Parameters
    ----------
    arrivals : Arrivals
        What was to come.
    count : int
        How many records were sent.
    """

    arrivals: Arrivals
    count: int

    @classmethod
    def by(cls, producer: Producer, source: str) -> Sent:
        """What a producer sent to a source's topic."""
        topic = TOPICS[source]
        return cls(producer.arrivals[topic], producer.sent[topic])

    @property
    def right(self) -> pl.DataFrame:
        """The rows that a contract has to accept, second copies included."""
        return self.arrivals.whole(self.count).filter(pl.col("fault").is_in(REFUSED).not_().fill_null(value=True))

    @property
    def refused(self) -> int:
        """How many records a contract has to refuse: torn ones, and rows that are wrong."""
        return self.count - len(self.right)

    def pings(self) -> pl.DataFrame:
        """The GPS rows that count, each once."""
        return self.right.unique("event_id", keep="first", maintain_order=True).drop("fault")

    def changes(self) -> pl.DataFrame:
        """The changes of rides that count, each once, in the log's order, as `headrace.testing` takes them."""
        log = self.right.unique(["file", "pos"], keep="first").sort("file", "pos")
        rows = log.select(_op="op", _known=pl.col("ts_us").cast(UTC), row=pl.coalesce("after", "before"))
        return rows.unnest("row").with_columns(
            pl.col("requested_at", "accepted_at", "picked_up_at", "completed_at").cast(UTC)
        )


def expected(producer: Producer) -> dict[str, Counts]:
    """By source: how many records were sent, and what has to become of them."""
    gps, rides = Sent.by(producer, "gps"), Sent.by(producer, "rides")
    late = gps.right.select((pl.col("received_at") - pl.col("ts") > pl.duration(seconds=LATE_SECONDS)).sum())
    return {
        "gps": {
            "read": gps.count, "refused": gps.refused, "copies left out": len(gps.right) - len(gps.pings()),
            "late and kept": int(late.item()),
        },
        "rides": {
            "read": rides.count, "refused": rides.refused, "copies left out": len(rides.right) - len(rides.changes()),
        },
    }  # fmt: skip


def found(statuses: dict[str, StreamStatus]) -> dict[str, Counts]:
    """The same as the streams say it."""
    gps, rides = statuses["gps"], statuses["rides"]
    return {
        "gps": {
            "read": gps.events, "refused": gps.rejected, "copies left out": gps.duplicates, "late and kept": gps.late,
        },
        "rides": {"read": rides.events, "refused": rides.rejected, "copies left out": rides.duplicates},
    }  # fmt: skip
