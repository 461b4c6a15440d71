"""GPS pings as JSON lines of about 186 bytes, from a seed: the same ones each time, half a million a second and more.

Lines are made as a matrix of bytes, one row a ping, whose columns are filled with digits from tables; leading
zeros are masked out at the end. A chunk depends on the seed and its own number alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

CHUNK: Final = 1 << 16
RATE: Final = 83_333
STARTS: Final = datetime(2026, 1, 5, 8, tzinfo=UTC)
_LINE: Final = (
    b'{"event_id": "00000000-0000-0000-0000-000000000000", "driver_id": 00000, "ts": "2026-01-05T08:00:00.000Z", '
    b'"lat": 40.000000, "lon": -73.000000, "speed_mps": 00.000000, "status": "free"}\n'
)
_ID, _DRIVER, _TIME = (_LINE.index(name) + len(name) for name in (b'_id": "', b'driver_id": ', b'"ts": "'))
_LAT, _LON, _SPEED = (_LINE.index(name) + len(name) for name in (b'"lat": ', b'"lon": -', b'_mps": '))
_STATUS: Final = _LINE.index(b"free")
_ID_PARTS: Final = ((0, 8), (9, 4), (14, 4), (19, 4), (24, 12))
_DAY_MS: Final = 86_400_000
_STATUSES: Final = np.frombuffer(b"freebusy", np.uint8).reshape(2, 4)
_HEX: Final = np.frombuffer(b"".join(b"%02x" % i for i in range(256)), np.uint8).reshape(256, 2)

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Pings:
    """How pings come.

    Parameters
    ----------
    seed : int
        Of everything.
    drivers : int
        Their ids are below it; at most 100,000.
    starts_at : datetime
        When the first ping arrives.
    events_per_second : float
        How they follow each other in event time.
    duplicated_share : float
        Of pings that repeat one of the `repeat_within` before, to the byte.
    late_share, most_late_seconds : float
        Of pings that arrive later than they happened, and by how much at most; the others arrive at once.
    repeat_within : int
        How far back a repeated ping is.
    """

    seed: int = 20260105
    drivers: int = 100_000
    starts_at: datetime = STARTS
    events_per_second: float = RATE
    duplicated_share: float = 0.001
    late_share: float = 0.05
    most_late_seconds: float = 5.0
    repeat_within: int = 10_000


class Chunk(NamedTuple):
    """Some pings in the order of their arrival.

    Parameters
    ----------
    lines, keys : list of bytes
        One a ping: its JSON, and its driver's id.
    arrived_ms : numpy.ndarray
        When each arrived, in milliseconds since 1970.
    """

    lines: list[bytes]
    keys: list[bytes]
    arrived_ms: Integers


@dataclass(frozen=True, slots=True)
class Draft:
    """Pings without their times.

    Parameters
    ----------
    matrix : numpy.ndarray
        Their bytes, a row each.
    drivers : numpy.ndarray
        Their drivers.
    late_ms : numpy.ndarray
        How much later than it happened each arrives.
    originals : numpy.ndarray
        The place of the ping that each repeats; its own where it does not.
    """

    matrix: Bytes
    drivers: Integers
    late_ms: Integers
    originals: Integers

    def stamped(self, arrived_ms: Integers, since: int = 0) -> Chunk:
        """As many of the pings as arrive, from the place `since` on."""
        place = slice(since, since + len(arrived_ms))
        own = self.matrix[place]
        _write_times(own, arrived_ms - self.late_ms[place])
        repeats = np.flatnonzero(self.originals[place] != np.arange(since, since + len(own)))
        for at in repeats:  # one by one: a repeated ping may itself be repeated
            own[at] = self.matrix[self.originals[since + at]]
        return Chunk(_lines(own), [b"%d" % driver for driver in self.drivers[place].tolist()], arrived_ms)


def chunks(pings: Pings, n_events: int) -> Iterator[Chunk]:
    """The first `n_events` pings in chunks of `CHUNK`."""
    starts_ms = round(pings.starts_at.timestamp() * 1000)
    for number, first in enumerate(range(0, n_events, CHUNK)):
        places = np.arange(first, min(first + CHUNK, n_events), dtype=np.int64)
        arrived_ms = starts_ms + (places * (1000 / pings.events_per_second)).astype(np.int64)
        yield draft(pings, number).stamped(arrived_ms)


def draft(pings: Pings, number: int) -> Draft:
    """The chunk with some number, without times."""
    rng = np.random.default_rng([pings.seed, number])
    matrix = np.tile(np.frombuffer(_LINE, np.uint8), (CHUNK, 1))
    _write_ids(matrix, rng)
    drivers = rng.integers(0, pings.drivers, CHUNK)
    _write_digits(matrix, _DRIVER, drivers, 5)
    for column, width in ((_LAT + 3, 6), (_LON + 3, 6), (_SPEED, 2), (_SPEED + 3, 6)):
        _write_digits(matrix, column, rng.integers(0, 30 if width == 2 else 10**width, CHUNK), width)
    matrix[:, _STATUS : _STATUS + 4] = _STATUSES[rng.integers(0, 2, CHUNK)]
    late = rng.random(CHUNK) < pings.late_share
    late_ms = np.where(late, rng.integers(0, max(int(pings.most_late_seconds * 1000), 1), CHUNK), 0)
    originals = _originals(pings, rng)
    return Draft(matrix, _followed(drivers, originals), late_ms, originals)


def _originals(pings: Pings, rng: np.random.Generator) -> Integers:
    places = np.arange(CHUNK, dtype=np.int64)
    repeats = rng.random(CHUNK) < pings.duplicated_share
    before = places - rng.integers(1, pings.repeat_within + 1, CHUNK)
    return np.where(repeats & (before >= 0), before, places)


def _followed(drivers: Integers, originals: Integers) -> Integers:
    found = drivers.copy()
    for at in np.flatnonzero(originals != np.arange(CHUNK)):
        found[at] = found[originals[at]]
    return found


def _write_ids(matrix: Bytes, rng: np.random.Generator) -> None:
    digits = _HEX[np.frombuffer(rng.bytes(16 * CHUNK), np.uint8)].reshape(CHUNK, 32)
    taken = 0
    for offset, width in _ID_PARTS:
        matrix[:, _ID + offset : _ID + offset + width] = digits[:, taken : taken + width]
        taken += width


def _write_times(matrix: Bytes, times_ms: Integers) -> None:
    days, in_day = np.divmod(times_ms, _DAY_MS)
    for day in np.unique(days).tolist():
        text = np.frombuffer(str(np.datetime64(day, "D")).encode(), np.uint8)
        matrix[days == day, _TIME : _TIME + 10] = text
    seconds, millis = np.divmod(in_day, 1000)
    minutes, second = np.divmod(seconds, 60)
    hour, minute = np.divmod(minutes, 60)
    for column, values, width in ((11, hour, 2), (14, minute, 2), (17, second, 2), (20, millis, 3)):
        _write_digits(matrix, _TIME + column, values, width)


def _write_digits(matrix: Bytes, column: int, values: npt.NDArray[Any], width: int) -> None:
    while width > 0:
        low = min(width, 3)
        values, digits = np.divmod(values, 10**low)
        matrix[:, column + width - low : column + width] = _table(low)[digits]
        width -= low


@cache
def _table(width: int) -> Bytes:
    text = b"".join(b"%0*d" % (width, i) for i in range(10**width))
    return np.frombuffer(text, np.uint8).reshape(10**width, width)


def _lines(matrix: Bytes) -> list[bytes]:
    keep = np.ones(matrix.shape, bool)
    for column, width in ((_DRIVER, 5), (_SPEED, 2)):
        leading = np.ones(len(matrix), bool)
        for place in range(column, column + width - 1):  # the last digit stays
            leading &= matrix[:, place] == ord("0")
            keep[:, place] = ~leading
    return matrix[keep].tobytes().split(b"\n")[:-1]
