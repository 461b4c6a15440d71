"""What goes wrong between a phone and the landing zone, and how often."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from data_platform.simulator.pings import Pings

__all__ = ["CORRUPT_KINDS", "DUPLICATE", "FAULTS", "FUTURE", "LATE", "NO_FAULT", "FaultShares", "Messages", "send"]

LATE, DUPLICATE, FUTURE = "late", "duplicate", "future"
CORRUPT_KINDS = (
    "corrupt_driver_id_null",
    "corrupt_lat_out_of_range",
    "corrupt_speed_negative",
    "corrupt_speed_nan",
    "corrupt_status_unknown",
)

_HOUR_US = 3_600_000_000
_LONGEST_DELAY_US = 20 * _HOUR_US
"""A message of one day lands on that day or the next, never later."""

NO_FAULT = 255
FAULTS = (LATE, DUPLICATE, FUTURE, *CORRUPT_KINDS)


@dataclass(frozen=True, slots=True)
class FaultShares:
    """Shares of the messages that suffer each fault, from 0 to 1.

    Attributes
    ----------
    late
        Pings that arrive minutes to hours after they happened.
    duplicate
        Pings sent a second time under the same event id, at once or hours later.
    corrupt
        Pings with a null driver, an impossible latitude, a negative or NaN speed, or an unknown status.
    future
        Pings whose `ts` lies hours to years after their arrival.
    unparseable
        Torn lines of GPS written as JSON lines; the whole line follows, as from a writer that tried again.
    ride_duplicate
        Ride changes delivered twice under the same log position.
    ride_truncated
        Torn lines among the ride changes; the whole line follows.

    Raises
    ------
    ValueError
        If a share lies outside 0 to 1, or those of the pings add up to more than 1.
    """

    late: float = 0.005
    duplicate: float = 0.003
    corrupt: float = 0.001
    future: float = 0.0002
    unparseable: float = 0.0005
    ride_duplicate: float = 0.002
    ride_truncated: float = 0.0005

    def __post_init__(self) -> None:
        for field in fields(self):
            share = getattr(self, field.name)
            if not 0 <= share <= 1:
                raise ValueError(f"FaultShares.{field.name} is a share from 0 to 1, found {share}")
        if (total := self.late + self.duplicate + self.corrupt + self.future) > 1:
            raise ValueError(f"FaultShares: late + duplicate + corrupt + future is at most 1, found {total}")

    @classmethod
    def none(cls) -> FaultShares:
        """Return shares of zero: everything lands once, whole and in time."""
        return cls(*(0.0 for _ in fields(cls)))


@dataclass(frozen=True, slots=True)
class Messages:
    """Pings on their way, each with what will go wrong with it.

    Attributes
    ----------
    pings
        Pings by value as they happened; `received_at_us` is when the message really arrives. A duplicate's second
        copy is an entry of its own.
    fault
        Index into `FAULTS`, or `NO_FAULT`; no message has two.
    """

    pings: Pings
    fault: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.fault)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Messages:
        """Return the messages at a mask or at positions."""
        return Messages(self.pings.take(rows), self.fault[rows])

    def join(self, more: Messages) -> Messages:
        """Return these messages and more."""
        return Messages(self.pings.join(more.pings), np.concatenate([self.fault, more.fault]))


def send(rng: np.random.Generator, pings: Pings, shares: FaultShares) -> Messages:
    """Return the messages that carry pings to the landing zone: delayed, doubled and marked for spoiling at random.

    Parameters
    ----------
    rng
        Generator of the faults.
    pings
        Pings as they happened.
    shares
        How much goes wrong.
    """
    fault, victims = _choose(rng, len(pings), shares)
    late = victims[fault[victims] == FAULTS.index(LATE)]
    again = victims[fault[victims] == FAULTS.index(DUPLICATE)]
    received_us = pings.received_at_us.copy()
    received_us[late] += _minutes_to_hours(rng, len(late))
    first = replace(pings, received_at_us=received_us)
    fault[again] = NO_FAULT
    second = first.take(again)
    second = replace(second, received_at_us=second.received_at_us + _seconds_or_hours(rng, len(again)))
    return Messages(first, fault).join(Messages(second, np.full(len(again), FAULTS.index(DUPLICATE), dtype=np.uint8)))


def _choose(rng: np.random.Generator, size: int, shares: FaultShares) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the fault of each ping as an index into `FAULTS`, and the rows that have one."""
    wanted = [shares.late, shares.duplicate, shares.future, *[shares.corrupt / len(CORRUPT_KINDS)] * len(CORRUPT_KINDS)]
    chosen = np.repeat(np.arange(len(FAULTS)), rng.multinomial(size, [*wanted, max(0.0, 1 - sum(wanted))])[:-1])
    rows = rng.choice(size, len(chosen), replace=False)
    fault = np.full(size, NO_FAULT, dtype=np.uint8)
    fault[rows] = chosen
    return fault, np.sort(rows)


def _minutes_to_hours(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    delay_us = rng.lognormal(np.log(_HOUR_US / 3), 1.2, size).clip(_HOUR_US / 30, _LONGEST_DELAY_US)
    return delay_us.astype(np.int64)


def _seconds_or_hours(rng: np.random.Generator, size: int) -> NDArray[np.int64]:
    at_once = rng.uniform(0.5, 30, size) * 1_000_000
    hours = rng.uniform(0.5, 12, size) * _HOUR_US
    return np.where(rng.random(size) < 0.6, at_once, hours).astype(np.int64)
