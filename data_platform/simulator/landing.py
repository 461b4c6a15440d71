"""The GPS files of the landing zone: what arrived, beside what it should have said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from data_platform.simulator.faults import CORRUPT_KINDS, DUPLICATE, FAULTS, FUTURE, Messages
from data_platform.simulator.pings import STATUSES, Pings

__all__ = ["GPS_SCHEMA", "Landing", "land"]

GPS_SCHEMA: dict[str, pl.DataType] = {
    "event_id": pl.String(),
    "driver_id": pl.Int64(),
    "ts": pl.Datetime("us", "UTC"),
    "received_at": pl.Datetime("us", "UTC"),
    "lat": pl.Float64(),
    "lon": pl.Float64(),
    "speed_mps": pl.Float64(),
    "status": pl.String(),
}

_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Landing:
    """The GPS messages of one landing file, by time of arrival.

    Attributes
    ----------
    begins_at
        Begin of the arrival times that the file holds, UTC.
    messages
        The messages as they landed, columns of `GPS_SCHEMA`.
    clean
        The same messages with the values that they truly had.
    fault
        What went wrong with each message, null where nothing did.
    """

    begins_at: datetime
    messages: pl.DataFrame
    clean: pl.DataFrame
    fault: pl.Series

    @property
    def truth(self) -> pl.DataFrame:
        """One row for each ping that first landed here, with the values it truly had."""
        return self.clean.filter(self.fault.ne_missing(DUPLICATE))

    @property
    def faults(self) -> pl.DataFrame:
        """One row for each message with a fault: event_id, received_at, fault."""
        wrong = self.fault.is_not_null()
        return self.clean.select("event_id", "received_at", self.fault.alias("fault")).filter(wrong)


def land(rng: np.random.Generator, messages: Messages, begins_at: datetime) -> Landing:
    """Return the file that holds messages, spoiling those that are marked for it.

    Parameters
    ----------
    rng
        Generator of the wrong values.
    messages
        Messages that arrive within the file's time, in any order.
    begins_at
        Begin of that time, UTC.
    """
    arrived = messages.take(np.argsort(messages.pings.received_at_us, kind="stable"))
    clean = _frame(arrived.pings)
    return Landing(begins_at, _spoil(rng, clean, arrived.fault), clean, _names(arrived.fault))


def _frame(pings: Pings) -> pl.DataFrame:
    values = {
        "event_id": pl.Series(pings.event_id),
        "driver_id": pl.Series(pings.driver_id),
        "ts": pl.Series(pings.ts_us),
        "received_at": pl.Series(pings.received_at_us),
        "lat": pl.Series(pings.lat),
        "lon": pl.Series(pings.lon),
        "speed_mps": pl.Series(pings.speed_mps),
        "status": pl.Series(STATUSES, dtype=pl.String).gather(pl.Series(pings.status)),
    }
    return pl.DataFrame([pl.Series(name, column).cast(GPS_SCHEMA[name]) for name, column in values.items()])


def _spoil(rng: np.random.Generator, clean: pl.DataFrame, fault: NDArray[np.uint8]) -> pl.DataFrame:
    """Return the frame with wrong values in the corrupt and future rows."""
    rows = {kind: np.flatnonzero(fault == code) for code, kind in enumerate(FAULTS)}
    no_driver, bad_lat, negative, nan, bad_status = (rows[kind] for kind in CORRUPT_KINDS)
    latitudes = np.where(rng.random(len(bad_lat)) < 0.5, -1, 1) * rng.uniform(91, 400, len(bad_lat)).round(6)
    speeds = np.concatenate([-rng.uniform(0.1, 40, len(negative)).round(2), np.full(len(nan), np.nan)])
    words = np.array(["BUSY", "", "on trip", "busy"])[rng.integers(0, 4, len(bad_status))]
    wrong = {
        "driver_id": (no_driver, pl.repeat(None, len(no_driver), dtype=pl.Int64, eager=True)),
        "lat": (bad_lat, pl.Series(latitudes)),
        "speed_mps": (np.concatenate([negative, nan]), pl.Series(speeds)),
        "status": (bad_status, pl.Series(words, dtype=pl.String)),
        "ts": (rows[FUTURE], _future(rng, clean["received_at"].gather(rows[FUTURE]))),
    }
    return clean.with_columns(
        clean[name].clone().scatter(pl.Series(where), values) for name, (where, values) in wrong.items() if len(where)
    )


def _future(rng: np.random.Generator, received_at: pl.Series) -> pl.Series:
    """Return times from an hour to ten years after arrival."""
    ahead_us = rng.lognormal(np.log(48 * _HOUR_US), 2.5, len(received_at)).clip(_HOUR_US, 87_600 * _HOUR_US)
    return received_at + pl.Series(ahead_us.astype(np.int64)).cast(pl.Duration("us"))


def _names(fault: NDArray[np.uint8]) -> pl.Series:
    code = pl.Series(fault).cast(pl.UInt32)
    names = pl.Series(FAULTS, dtype=pl.String).extend(pl.Series([None], dtype=pl.String))
    return names.gather(code.clip(upper_bound=len(FAULTS)))
