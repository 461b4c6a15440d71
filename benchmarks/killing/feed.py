"""What arrives round by round: pings, ride changes and daily papers, with late, copied, wrong and torn rows.

Each third round has poison: pings that the contract lets through, and that no view's audit may. They are repaired by
copies that were seen earlier, which count instead.

Beside the files it writes what must become of each of their rows, for `wholeness` to check by.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.killing.project import START

ROUND = timedelta(hours=6)
PINGS, RIDES, DRIVERS = 600, 60, 25
TRUTH = "truth"
CITIES = ("Baku", "Ganja", "Sumqayit")
_OLD_PINGS = 200
_POISONED = 3
POISON = 1000.0
"""A speed that no reader may ever see, nor a greater one."""


class Feed:
    """Everything that arrives, the same for the same seed.

    Parameters
    ----------
    seed : int
        Of the random numbers.
    pings, rides : int
        How many of each a round has, about.
    """

    def __init__(self, seed: int, pings: int = PINGS, rides: int = RIDES) -> None:
        self._random = random.Random(seed)
        self._pings_a_file, self._rides_a_round = pings // 2, rides
        self._pings: list[dict[str, Any]] = []
        self._rides: dict[int, dict[str, Any]] = {}
        self._changes: list[dict[str, Any]] = []
        self._poison: list[dict[str, Any]] = []
        self._made = self._position = 0

    @property
    def is_poisoned(self) -> bool:
        """Whether the last round's pings have poison in them that has not been repaired."""
        return bool(self._poison)

    def arrive(self, root: Path) -> None:
        """Put the files of the next round into a project."""
        number, self._made = self._made, self._made + 1
        start = datetime.fromisoformat(START).replace(tzinfo=UTC) + number * ROUND
        truth: list[tuple[str, int, str | None]] = []
        for part in "ab":
            rows = [self._ping(start, f"{number}{part}{index}") for index in range(self._pings_a_file)] + self._again()
            if number % 3 == 1 and part == "b":
                rows += self._poisoned(start, number)
            self._random.shuffle(rows)
            _put(root, f"landing/pings/{number:04d}{part}.jsonl", self._lines(rows), truth)
        changes = self._table_changes(start)
        self._changes.extend(changes)
        copies = self._random.sample(self._changes, len(changes) // 10)
        lines = [(json.dumps(change), str(change["source"]["pos"])) for change in changes + copies]
        _put(root, f"landing/rides/{number:04d}.jsonl", lines, truth)
        if start.hour == 0:
            self._papers(root, start, truth)
        _write_truth(root / TRUTH, f"{number:04d}", truth)

    def repair(self, root: Path) -> None:
        """Put a file into a project whose pings take the place of the poisoned ones."""
        truth: list[tuple[str, int, str | None]] = []
        earlier = timedelta(milliseconds=1)
        rows = [row | {"seen_at": row["seen_at"] - earlier, "speed": 10.0} for row in self._poison]
        name = f"{self._made - 1:04d}r"
        _put(root, f"landing/pings/{name}.jsonl", [(_json(row), row["ping_id"]) for row in rows], truth)
        _write_truth(root / TRUTH, name, truth)
        self._poison = []

    def _poisoned(self, start: datetime, number: int) -> list[dict[str, Any]]:
        fresh = [self._ping(start, f"{number}p{index}") for index in range(_POISONED)]
        del self._pings[-_POISONED:]  # a copy of one could count instead of its repair
        self._poison = [row | {"speed": POISON + self._random.randrange(100)} for row in fresh]
        return self._poison

    def _ping(self, start: datetime, ping_id: str) -> dict[str, Any]:
        chance = self._random.random()
        ts = start + ROUND * self._random.random()
        if chance < 0.03 and self._made > 1:
            ts -= timedelta(hours=30) * self._random.random()  # known then, but its file comes only now
        ts = max(ts, datetime.fromisoformat(START).replace(tzinfo=UTC))
        late = timedelta(hours=3) * self._random.random() if chance > 0.9 else timedelta(seconds=1)
        row = {
            "ping_id": ping_id, "driver_id": self._random.randrange(DRIVERS), "ts": ts, "seen_at": ts + late,
            "lat": 40.25, "speed": self._random.randrange(120) / 4, "status": self._random.choice(["free", "busy"]),
        }  # fmt: skip
        self._pings.append(row)
        return row

    def _again(self) -> list[dict[str, Any]]:
        """Copies of rows of before: some as they were, some that were seen earlier and so count instead."""
        copies = self._random.sample(self._pings[-_OLD_PINGS:], 20)
        return [
            row | {"seen_at": row["ts"] + (row["seen_at"] - row["ts"]) * self._random.choice([0.25, 0.5, 1])}
            for row in copies
        ]

    def _lines(self, rows: Sequence[dict[str, Any]]) -> list[tuple[str, str | None]]:
        found: list[tuple[str, str | None]] = []
        for row in rows:
            text = _json(row)
            found.append((text, row["ping_id"]))
            chance = self._random.random()
            if chance < 0.01:
                found.append((text[: len(text) // 2], None))
            elif chance < 0.03:
                found.append((json.dumps(json.loads(text) | {"lat": 95.0, "ping_id": f"wrong{row['ping_id']}"}), None))
        return found

    def _table_changes(self, start: datetime) -> list[dict[str, Any]]:
        times = sorted(start + ROUND * self._random.random() for _ in range(4 * self._rides_a_round))
        return [self._change(at) for at in times]

    def _change(self, at: datetime) -> dict[str, Any]:
        """A ride that begins, changes or is deleted, as an envelope."""
        self._position += self._random.randrange(1, 500)
        chance = self._random.random()
        is_new = chance < 0.4 or not self._rides
        ride_id = self._position if is_new else self._random.choice(list(self._rides)[-100:])
        before = self._rides.pop(ride_id, None)
        after: dict[str, Any] | None = None
        if before is None:
            after = self._begun(ride_id, at)
        elif chance > 0.48:
            after = before | self._update(before, at)
        if after is not None:
            self._rides[ride_id] = after
        operation = "c" if is_new else "d" if after is None else "u"
        source = {"file": "binlog.000001", "pos": self._position, "row": 0}
        return {"before": before, "after": after, "op": operation, "ts_us": _micros(at) + 80_000, "source": source}

    def _begun(self, ride_id: int, at: datetime) -> dict[str, Any]:
        return {
            "ride_id": ride_id, "driver_id": self._random.randrange(DRIVERS), "city": self._random.choice(CITIES),
            "requested_at": _micros(at), "picked_up_at": None, "fare": self._random.randrange(400),
        }  # fmt: skip

    def _update(self, ride: dict[str, Any], at: datetime) -> dict[str, Any]:
        if ride["picked_up_at"] is None:
            return {"picked_up_at": _micros(at)}
        if self._random.random() < 0.5:
            return {"driver_id": self._random.randrange(DRIVERS)}
        return {"fare": self._random.randrange(400), "city": self._random.choice(CITIES)}

    def _papers(self, root: Path, day: datetime, truth: list[tuple[str, int, str | None]]) -> None:
        there = [driver for driver in range(DRIVERS) if self._random.random() < 0.9]
        rows = [(f"{driver},{self._random.choice(['valid', 'expired'])}", f"{day.date()} {driver}") for driver in there]
        _put(root, f"landing/papers/papers_{day.date()}.csv", rows, truth, header="driver_id,status")


def _put(
    root: Path,
    name: str,
    lines: Sequence[tuple[str, str | None]],
    truth: list[tuple[str, int, str | None]],
    header: str = "",
) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    above = [header] if header else []
    truth.extend((name, row, identity) for row, (_, identity) in enumerate(lines, start=len(above) + 1))
    text = [*above, *(line for line, _ in lines)]
    part = path.with_name(f".{path.name}.part")
    part.write_text("\n".join(text) + "\n")
    part.rename(path)


def _write_truth(folder: Path, name: str, truth: list[tuple[str, int, str | None]]) -> None:
    folder.mkdir(exist_ok=True)
    frame = pl.DataFrame(truth, schema={"file": pl.String, "row": pl.Int64, "identity": pl.String}, orient="row")
    frame.write_parquet(folder / f".{name}.part")
    (folder / f".{name}.part").rename(folder / f"{name}.parquet")


def _micros(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


def _json(ping: dict[str, Any]) -> str:
    return json.dumps(ping | {name: _text(ping[name]) for name in ("ts", "seen_at")})


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
