"""A project whose answers are logged, and the ways in which what is served goes wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl

from headrace.platform import Platform
from headrace.platform.online import OnlineReader
from headrace.platform.online_heads import Head, head_key
from headrace.platform.served_log import ServedEntry, ServedLog
from headrace.platform.verify_served_report import ServedReport
from headrace.types import DAY, SECOND, instant
from tests.integration.pings import put
from tests.integration.verifying import Clock

START = instant("2026-01-05")
HOUR = 3_600 * SECOND
FEATURES = """
import headrace as hr

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
pings = hr.EventSource(
    "pings",
    schema={"ping_id": hr.String, "driver_id": hr.Int64, "ts": hr.Timestamp, "seen_at": hr.Timestamp,
            "speed": hr.Float64, "n": hr.Int64},
    event_time="ts", available_time="seen_at", dedupe_on="ping_id",
)
driver_now = hr.FeatureView("driver_now", entity=driver, source=pings, ttl="12h", features={
    "n": hr.last("n"), "seen": hr.last("ts"), "rows": hr.count(), "total": hr.sum("n"), "speed": hr.mean("speed"),
    "speed_6h": hr.mean("speed", hr.sliding("6h", hop="5m")), "rows_3h": hr.count(window=hr.sliding("3h", hop="5m")),
    "most": hr.max("n"),
})
model = hr.FeatureService("model", features=[driver_now])
"""


def rows(day: int, drivers: int, each: int = 3) -> pl.DataFrame:
    """Pings of one day between 2 and 22 o'clock, known at once."""
    rng = np.random.default_rng(day)
    n = drivers * each
    ts = START + day * DAY + 2 * HOUR + rng.integers(0, 20 * 3_600, n) * SECOND
    at = pl.Series(ts).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({
        "ping_id": [f"{day}-{place}" for place in range(n)], "driver_id": np.arange(n) % drivers, "ts": at,
        "seen_at": at, "speed": rng.normal(10, 3, n), "n": rng.integers(0, 1_000, n),
    })  # fmt: skip


@dataclass
class World:
    """A project, what it serves and the log of that.

    Parameters
    ----------
    platform : Platform
        The project.
    clock : Clock
        What time it is.
    drivers : int
        How many entities there are.
    """

    platform: Platform
    clock: Clock
    drivers: int
    log: ServedLog = field(init=False)
    ids: Iterable[int] = field(default_factory=count)
    WAIT: ClassVar[int] = HOUR

    def __post_init__(self) -> None:
        """Open the log."""
        self.log = ServedLog.open(self.platform.context, clock=self.clock, seconds=0.2)

    @classmethod
    def make(cls, root: Path, drivers: int = 40, features: str = FEATURES) -> World:
        """A project of one published day."""
        root.mkdir(parents=True, exist_ok=True)
        (root / "headrace.toml").write_text('name = "served"\nmodule = "features"\n')
        (root / "features.py").write_text(features)
        clock = Clock(START)
        platform = Platform.open(root, clock=clock)
        platform.apply()
        world = cls(platform, clock, drivers)
        world.publish(0)
        return world

    def publish(self, day: int) -> None:
        """Take a day's rows in and publish them at its end; then it is an hour later."""
        put(self.platform, rows(day, self.drivers))  # type: ignore[arg-type]
        self.clock.now = START + (day + 1) * DAY
        self.platform.backfill("driver_now", end=self.clock.now)
        self.clock.now += self.WAIT

    def ask(self, drivers: Sequence[int] | None = None, *, ahead_us: int = 0, service: str = "model") -> Any:
        """Answer one request, by a clock that may be wrong, and log it."""
        reader = OnlineReader.of(self.platform.context, service)
        return self.answer(reader, list(range(self.drivers)) if drivers is None else drivers, ahead_us)

    def answer(self, reader: OnlineReader, drivers: Sequence[int], ahead_us: int = 0) -> Any:
        """The same with a reader that is there already."""
        answer = reader.read({"driver_id": drivers}, self.clock() + ahead_us)
        entry = ServedEntry(reader.service, answer, f"request-{next(iter(self.ids))}", self.clock() + 3_000)
        self.log.offer(entry)
        self.clock.now += SECOND
        return answer

    def verify(self, **options: Any) -> ServedReport:
        """Publish a quiet day, so that offline has come further than the requests, and compare."""
        self.log.close()
        self.clock.now += DAY
        self.platform.backfill("driver_now", end=self.clock.now)
        return self.platform.verify_served(**options)

    def redefine(self) -> None:
        """Let two features be others, in the definitions that are in force."""
        changed = FEATURES.replace('hr.max("n")', 'hr.min("n")').replace('hr.sum("n")', 'hr.sum("speed")')
        root = self.platform.context.root
        (root / "features.py").write_text(changed)
        self.platform = Platform.open(root, clock=self.clock)
        self.platform.apply()

    def head(self) -> Head:
        """What is served."""
        (value,) = self.platform.context.online.get_many([head_key("driver_now")])
        assert value is not None
        return Head.unpack(value)

    def stored(self) -> dict[bytes, bytes]:
        """All that the store holds."""
        return dict(self.platform.context.online.scan(b""))

    def put_back(self, held: dict[bytes, bytes]) -> None:
        """Let the store hold what it held once, for these keys."""
        store = self.platform.context.online
        store.delete_many(held)
        assert not store.put_many(held.items())

    def judge_by_ttl(self, ttl_us: int | None) -> None:
        """The store's head tells another ttl than the view's."""
        head = self.head()
        wrong = replace(head, layout=replace(head.layout, ttl_us=ttl_us))
        self.put_back({head_key("driver_now"): wrong.pack()})


class Forgetful:
    """A store that loses what is written for some records."""

    def __init__(self, store: Any, lost: set[bytes]) -> None:
        self._store, self._lost = store, lost

    def __getattr__(self, name: str) -> Any:
        """Everything else it does."""
        return getattr(self._store, name)

    def put_many(self, items: Iterable[tuple[bytes, bytes]], *, lasting: bool = False) -> int:
        """Write all but those."""
        refused: int = self._store.put_many([each for each in items if each[0] not in self._lost], lasting=lasting)
        return refused
