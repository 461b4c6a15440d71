"""Chapter 7: rows that a contract can't tell from right ones, and an audit that can."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import polars as pl

from data_platform.demo.arriving import ArrivingDay
from data_platform.demo.asking import Server
from data_platform.demo.mending import mend
from data_platform.demo.serve import ARRIVING, publish
from data_platform.demo.telling import Teller
from data_platform.demo.training_sets import SERVICE
from data_platform.demo.truth import HARMLESS, SPEED, speed_differs
from data_platform.simulator import Landing
from headrace import Platform
from headrace.errors import AuditError
from headrace.quality.audit import Verdict

VIEW: Final = "driver_now"
OVER_LIMIT: Final = "over_limit"
IS_UPDATED: Final = pl.col("driver_id") % 2 == 0
_KMH, _LIMIT = 3.6, 70


def poison(tell: Teller, platform: Platform, server: Server, day: ArrivingDay) -> tuple[Platform, dict[str, Any]]:
    """Let a poisoned afternoon arrive and be rejected, then mend the definition; returns the mended project."""
    with tell.chapter(
        "A poisoned afternoon", "At noon an update of the app makes every second phone report km/h where m/s belong."
    ):
        reader = _Reader.of(server, day)
        reader.read("before", day.at(12, seconds=-30))
        (landed,) = day.land_pings(1, lambda landing: spoilt(landing, day))
        day.land_rides(until=day.at(17, 59))
        accepted, verdict = platform.ingest()["gps"].accepted, _rejection(platform, day)
        reader.read("afternoon rejected", day.at(12, seconds=-30))
        _tell_rejection(tell, accepted, int((landed.fault == OVER_LIMIT).sum()), verdict)
        mended = mend(platform, day.at(12))
        publish(mended, ARRIVING, day.at(18))
        reader.read("mended", day.at(18, seconds=-10))
        tell.table((f"driver {reader.driver}", "asked as of", "version served", "speed_mean_5m"), reader.rows)
        differ, checked = _checked(mended, day)
        tell.say(
            "No reader saw it. A transform in features/units.py now turns these phones' km/h into m/s: a new "
            "definition, computed beside the old one and audited. Against the true pings, "
            f"{differ} of {checked:,} speeds differ."
        )
    return mended, {
        "accepted": accepted, "accepted_in_truth": _whole(landed), "rows": reader.rows, "checked": checked,
        "differing": differ, "rejected": verdict and [asdict(finding) for finding in verdict.failures],
    }  # fmt: skip


def spoilt(landing: Landing, day: ArrivingDay) -> Landing:
    """The landing as the update makes it; what goes over the contract's limit counts as a fault."""
    is_wrong = IS_UPDATED & (pl.col("ts") >= day.at(12))
    speed = pl.when(is_wrong).then(pl.col("speed_mps") * _KMH).otherwise("speed_mps")
    messages = landing.messages.with_columns(speed_mps=speed)
    harmless = landing.fault.is_null() | landing.fault.is_in(HARMLESS)
    over = harmless & (messages["speed_mps"] > _LIMIT)
    fault = pl.select(pl.when(over).then(pl.lit(OVER_LIMIT)).otherwise(landing.fault)).to_series()
    return replace(landing, messages=messages, fault=fault)


def _whole(landing: Landing) -> int:
    """How many pings a contract can't refuse: second copies left out."""
    return int((landing.fault.is_null() | (landing.fault == "late")).sum())


@dataclass(slots=True)
class _Reader:
    """Whoever asks for the speed of one driver, and the answers so far."""

    server: Server
    asked: pl.DataFrame
    rows: list[tuple[str, str, int, float | None]] = field(default_factory=list)

    @classmethod
    def of(cls, server: Server, day: ArrivingDay) -> _Reader:
        """Asks for a driver whose phone was updated, who has a speed at noon and, if there is one, rides at the end."""
        known = server.ask(day.drivers(day.at(10), day.at(12)), day.at(12, seconds=-30))
        late = day.drivers(day.at(17, 50), day.at(18))["driver_id"]
        wanted = [IS_UPDATED, pl.col(SPEED).is_not_null(), pl.col("driver_id").is_in(late.implode())]
        fitting = known.sort(pl.sum_horizontal(wanted), descending=True, maintain_order=True)
        return cls(server, fitting.select("driver_id", "city").head(1))

    @property
    def driver(self) -> int:
        """Who is asked for."""
        return int(self.asked["driver_id"][0])

    def read(self, when: str, at: datetime) -> None:
        """Ask, and keep the version that answered and the value."""
        value = self.server.ask(self.asked, at)[SPEED][0]
        self.rows.append((when, f"{at:%H:%M:%S}", self.server.version(VIEW), value))


def _rejection(platform: Platform, day: ArrivingDay) -> Verdict | None:
    """What the audit says when the afternoon is to be published; None if it lets it pass."""
    try:
        publish(platform, (VIEW,), day.at(18))
    except AuditError:
        record = platform.check(VIEW).rejected
        return None if record is None else record.verdict
    return None


def _tell_rejection(tell: Teller, accepted: int, over: int, verdict: Verdict | None) -> None:
    if verdict is None:
        tell.say("The audit let it pass: this is a defect of headrace.", style="bold red")
        return
    reasons = "; ".join(map(str, verdict.failures))
    tell.say(
        f"{over:,} are over the contract's {_LIMIT} and quarantined; {accepted:,} pings are accepted. The audit of "
        f"{VIEW} rejects what they make: {reasons}. Nothing is published."
    )


def _checked(platform: Platform, day: ArrivingDay) -> tuple[int, int]:
    """How many of the afternoon's mean speeds are not those of the true pings."""
    to = platform.context.root / "training_sets" / "afternoon"
    found = platform.training_set(day.labels(day.at(12), day.at(17, 59)), SERVICE, to=to)
    return speed_differs(platform.context.root, found), len(found)
