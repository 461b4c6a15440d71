"""Rows and views that hit the corners: equal times, window bounds, late rows, nulls, outliers, moves and deletes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

import headrace as hr
from headrace.definitions.aggregations import Aggregation
from headrace.definitions.sources import Source
from headrace.definitions.windows import Window
from tests.property.oracle import Conditions, Row

SECOND = 1_000_000
SCHEMA = {
    "id": hr.Int64, "e1": hr.Int64, "e2": hr.String, "t": hr.Timestamp, "a": hr.Timestamp, "seq": hr.Int64,
    "x": hr.Float64, "n": hr.Int64, "p": hr.Decimal(10, 2), "s": hr.String, "b": hr.Bool, "d": hr.Date,
}  # fmt: skip
ENTITY = hr.Entity("thing", keys={"k1": hr.Int64, "k2": hr.String})
KEYS = {"k1": "e1", "k2": "e2"}
WINDOWS: dict[str, Window] = {
    "lifetime": hr.lifetime(),
    "sliding": hr.sliding("30s", hop="10s"),
    "sliding_offset": hr.sliding("20s", hop="15s", offset="4s"),
    "hopping": hr.hopping("30s", hop="10s", offset="3s"),
    "tumbling": hr.tumbling("20s"),
}
KINDS = ("event", "change", "snapshot")

_lattice = st.builds(
    lambda place, tick: place * 5 * SECOND + tick, st.integers(-4, 24), st.sampled_from([-1, 0, 0, 1, 2_500_000])
)
TIMES = st.one_of(_lattice, _lattice, st.sampled_from([-(10**15), 10**13, 10**15]))
LATENESS = st.sampled_from([0, 0, 0, -3 * SECOND, 1, 4 * SECOND, 17 * SECOND, 90 * SECOND])
FLOATS = st.one_of(
    st.none(), st.sampled_from([0.0, -0.0, 0.1, 0.2, 0.3, -7.25, 1e15, -1e15, float("nan"), float("inf"), 1e-300]),
    st.floats(-100, 100, width=32),
)  # fmt: skip
VALUES = {
    "x": FLOATS,
    "n": st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([2**58, -(2**58)])),
    "p": st.one_of(st.none(), st.integers(-500, 500).map(lambda i: Decimal(i) / 100)),
    "s": st.one_of(st.none(), st.sampled_from(["", "a", "b", "ä"])),
    "b": st.one_of(st.none(), st.booleans()),
    "d": st.one_of(st.none(), st.integers(-3, 3).map(lambda i: date(1970, 1, 1) + timedelta(days=i))),
    "seq": st.one_of(st.none(), st.integers(0, 2)),
    "e1": st.one_of(st.integers(0, 2), st.integers(0, 2), st.none()),
    "e2": st.sampled_from(["u", "u", "v"]),
}


def _positive(row: Row) -> bool:
    """SQL's ``x > 0``: false for null; NaN and infinities count as null."""
    x = row["x"]
    return x is not None and x == x and x not in (float("inf"), float("-inf")) and x > 0


CONDITIONS: Conditions = {
    "(x > 0)": _positive,
    "(s = 'a')": lambda row: row["s"] == "a",
    "((n IS NULL) OR (b = TRUE))": lambda row: row["n"] is None or row["b"] is True,
}


def features(window: Window, kind: str) -> dict[str, Aggregation]:
    """Every aggregate over a window, on columns of every type it takes."""
    made = {
        "last_x": hr.last("x", window), "last_s": hr.last("s", window, skip_nulls=True), "last_t": hr.last("t", window),
        "first_n": hr.first("n", window), "first_p": hr.first("p", window, skip_nulls=True),
        "three_x": hr.last_n("x", 3, window), "two_s": hr.last_n("s", 2, window, skip_nulls=True),
        "rows": hr.count(window=window), "count_x": hr.count("x", window),
        "sum_x": hr.sum("x", window), "sum_n": hr.sum("n", window, default=0), "sum_p": hr.sum("p", window),
        "mean_x": hr.mean("x", window), "mean_n": hr.mean("n", window), "mean_b": hr.mean("b", window),
        "mean_p": hr.mean("p", window), "var_x": hr.variance("x", window), "std_n": hr.stddev("n", window, ddof=0),
        "min_x": hr.min("x", window), "max_n": hr.max("n", window), "min_d": hr.min("d", window),
        "max_t": hr.max("t", window), "max_p": hr.max("p", window),
        "kinds_s": hr.count_distinct("s", window), "kinds_x": hr.count_distinct("x", window),
    }  # fmt: skip
    if kind == "event":
        made["about_s"] = hr.count_distinct("s", window, approximate=True)
        made["about_n"] = hr.count_distinct("n", window, approximate=True)
        made["median_x"] = hr.quantile("x", 0.5, window)
        made["ninth_n"] = hr.quantile("n", 0.9, window, error=0.001)
    return made


OPTIONS = st.fixed_dictionaries({
    "inclusive": st.booleans(),
    "known_after": st.sampled_from(["0s", "0s", "7s"]),
    "max_lateness": st.sampled_from(["0s", "3s"]),
    "available_time": st.sampled_from([None, "a"]),
    "sequence": st.sampled_from([None, "seq"]),
})  # fmt: skip


def source(kind: str, options: dict[str, Any]) -> Source:
    """A source of a kind."""
    if kind == "event":
        return hr.EventSource("rows", schema=SCHEMA, event_time="t", dedupe_on="id", **options)
    common = {name: options[name] for name in ("inclusive", "known_after", "max_lateness")}
    if kind == "change":
        return hr.ChangeSource("rows", schema=SCHEMA, event_time="t", primary_key="id", **common)
    return hr.SnapshotSource("rows", schema=SCHEMA, event_time="t", primary_key="id", dedupe_on="id", **common)


@st.composite
def views(draw: Callable[..., Any], window: Window, kind: str) -> hr.FeatureView:
    """A view with every aggregate over a window; conditions, resolution and the entity vary."""
    made = features(window, kind)
    where = st.sampled_from([None, None, *CONDITIONS])
    conditioned = {
        name: hr.count(window=window, where=text)
        for name, text in (("some_rows", draw(where)), ("other_rows", draw(where)))
    }
    mean_where = {
        "mean_where": hr.mean("x", window, where=draw(where)),
        "last_where": hr.last("n", window, where=draw(where)),
    }
    entity = draw(st.sampled_from([ENTITY, ENTITY, None]))
    return hr.FeatureView(
        "view", entity=entity, source=source(kind, draw(OPTIONS)), features=made | conditioned | mean_where,
        keys=KEYS if entity else {}, where=draw(where), resolution=draw(st.sampled_from([None, None, "4s"])),
    )  # fmt: skip


def _row(draw: Callable[..., Any], number: int) -> dict[str, Any]:
    t = draw(TIMES)
    late = draw(st.one_of(st.none(), LATENESS))
    values = {name: draw(strategy) for name, strategy in VALUES.items()}
    return {"id": number, "t": t, "a": None if late is None else t + late, **values}


@st.composite
def rows(draw: Callable[..., Any], kind: str) -> list[dict[str, Any]]:
    """Rows of a source of a kind, at most a dozen."""
    n = draw(st.integers(0, 12))
    made = [_row(draw, number) for number in range(n)]
    if kind == "change":
        return _changes(draw, made)
    return _snapshots(draw, made) if kind == "snapshot" else draw(st.permutations(made))


def _changes(draw: Callable[..., Any], made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A log: keys come again, known times mostly ascend."""
    known = draw(_lattice)
    for row in made:
        known += draw(st.sampled_from([0, 1, SECOND, 6 * SECOND, -2 * SECOND, 40 * SECOND]))
        row["id"] = draw(st.integers(0, 3))
        row["_op"] = draw(st.sampled_from(["insert", "update", "update", "update", "delete", "truncate"]))
        row["_known"] = known
        if row["_op"] == "truncate":
            row.update(dict.fromkeys(SCHEMA))
    return made


def _snapshots(draw: Callable[..., Any], made: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Daily files: each has a key at most once."""
    days = [date(1970, 1, 1) + timedelta(days=draw(st.integers(-1, 3))) for _ in made]
    seen, found = set(), []
    for row, day in zip(made, days, strict=True):
        row["id"], row["_snapshot"] = draw(st.integers(0, 3)), day
        if (row["id"], day) not in seen:
            found.append(row)
        seen.add((row["id"], day))
    return found
