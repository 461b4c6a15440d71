"""The project: two views of the same users, and what each value has to be in each version."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from headrace.platform import Platform
from headrace.testing import silver
from headrace.types import SECOND

USERS: Final = 200
UNKNOWN: Final = 1_000_000
SERVICE: Final = "model"
VIEWS: Final = ("left", "right")
_WAVE: Final = 1_000_000
_DEFINITIONS = """
import headrace as hr

user = hr.Entity("user", keys={"user_id": hr.Int64})
waves = hr.EventSource(
    "waves", schema={"user_id": hr.Int64, "ts": hr.Timestamp, "wave": hr.Int64, "mark": hr.Int64, "text": hr.String},
    event_time="ts",
)
left = hr.FeatureView("left", entity=user, source=waves, features={n: hr.last(n) for n in ("wave", "mark", "text")})
right = hr.FeatureView("right", entity=user, source=waves, features={n: hr.last(n) for n in ("mark", "wave")})
model = hr.FeatureService("model", features=[left, right])
"""


def make(root: Path) -> None:
    """The project, applied, without rows."""
    root.mkdir(parents=True)
    (root / "headrace.toml").write_text('name = "waves"\nmodule = "features"\n')
    (root / "features.py").write_text(_DEFINITIONS)
    Platform.open(root).apply()


def put(platform: Platform, wave: int) -> None:
    """A row of each user, now."""
    ts = time.time_ns() // 1_000 - SECOND
    rows = [{"user_id": user, "ts": ts, **values(wave, user)} for user in range(USERS)]
    frame = silver(platform.definitions.source("waves"), rows)
    frame = frame.with_columns(pl.col("_hr_known").dt.date().alias("_hr_day"))
    table = platform.context.lake.table("silver", "waves")
    parts = frame.partition_by("_hr_day", as_dict=True)
    staged = [table.stage(part, {"_hr_day": str(day[0])}) for day, part in parts.items()]
    table.commit(
        staged, schema=frame.schema, mode="append", partition_by=["_hr_day"], metadata={"min_known_us": str(ts)}
    )


def values(wave: int, user: int) -> dict[str, Any]:
    """What a user has in a wave."""
    return {"wave": wave, "mark": wave * _WAVE + user, "text": f"wave {wave} of user {user}"}


def judged(users: Sequence[int], answer: Mapping[str, Any]) -> tuple[dict[str, int], str]:
    """The wave of each view in an answer, and what is wrong with it, if anything."""
    names, results = answer["metadata"]["feature_names"], answer["results"]
    columns = {name: list(zip(r["values"], r["statuses"], strict=True)) for name, r in zip(names, results, strict=True)}
    if [value for value, _ in columns["user_id"]] != list(users):
        return {}, f"wrong: other users: {columns['user_id']}"
    waves: dict[str, int] = {}
    for view in VIEWS:
        found = {name.partition("__")[2]: column for name, column in columns.items() if name.startswith(f"{view}__")}
        wrong = _wrong(users, found, waves, view)
        if wrong:
            return waves, wrong
    return waves, ""


def _wrong(users: Sequence[int], found: Mapping[str, list[Any]], waves: dict[str, int], view: str) -> str:
    seen = set()
    for place, user in enumerate(users):
        row = {name: column[place] for name, column in found.items()}
        if user >= UNKNOWN:
            if any(pair != (None, "NOT_FOUND") for pair in row.values()):
                return f"wrong: user {user} is not there, {view} answers {row}"
            continue
        wave = row["wave"][0]
        if not isinstance(wave, int) or row != {n: (v, "PRESENT") for n, v in values(wave, user).items() if n in row}:
            return f"{'mixed' if _is_mixed(row, user) else 'wrong'}: user {user}, {view} answers {row}"
        seen.add(wave)
    if len(seen) > 1:
        return f"mixed: {view} answers of waves {sorted(seen)}"
    waves[view] = seen.pop()
    return ""


def _is_mixed(row: Mapping[str, Any], user: int) -> bool:
    """Whether each value is right in some wave."""
    wave, mark = row["wave"][0], row["mark"][0]
    if not (isinstance(wave, int) and isinstance(mark, int)):
        return False
    waves = (wave, mark // _WAVE)
    return all(any(pair == (values(wave, user)[name], "PRESENT") for wave in waves) for name, pair in row.items())
