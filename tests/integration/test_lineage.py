"""The row behind a value: found in silver for every kind of source, and the one that a plain search finds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import headrace as hr
from headrace.definitions.services import FeatureService
from headrace.definitions.views import Selection
from headrace.platform import Platform, lineage_rows
from headrace.platform.lineage import Traced, traced
from headrace.platform.lineage_rows import Origin, newest_rows
from headrace.platform.online import OnlineReader
from headrace.quality.masking import mask_key, mask_values
from headrace.server.v1_lineage import row_origin
from headrace.testing import silver
from headrace.types import DAY, SECOND
from tests.integration import verifying
from tests.integration.verifying import END, NOW, START

Row = dict[str, Any]
HOUR = 3_600 * SECOND
LATER = "2h30m"  # when a snapshot is known, after its day
TIMES = [NOW, NOW + HOUR, NOW + 3 * DAY]
ROWS = {
    "pings": [row for day in range(4) for row in verifying.pings(day, day)], "rides": verifying.rides(1),
    "papers": verifying.papers(2),
}  # fmt: skip


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADRACE_MASK_KEY", "ab" * 32)
        features = verifying.FEATURES.replace("online=False, ", "")
        made = verifying.project(tmp_path_factory.mktemp("lineage") / "city", features=features)
        for source, rows in ROWS.items():
            put(made, source, rows)
        for view in made.definitions.views:
            made.backfill(view)
        yield made


def put(platform: Platform, source: str, rows: Sequence[Row]) -> None:
    """As ingestion leaves it: every row with its origin, here its place among the rows."""
    declared = platform.definitions.source(source)
    frame = silver(declared, rows)
    secret = mask_key() if declared.personal else b""
    frame = frame.with_columns(mask_values(frame[name], mask, secret) for name, mask in declared.personal.items())
    frame = frame.with_columns(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("_hr_row"), pl.lit(f"in/{source}").alias("_hr_file"),
        pl.lit("b1").alias("_hr_batch"), pl.col("_hr_known").dt.date().alias("_hr_day"),
    )  # fmt: skip
    table = platform.context.lake.table("silver", source)
    days = frame.partition_by("_hr_day", as_dict=True)
    staged = [table.stage(part, {"_hr_day": str(day[0])}) for day, part in days.items()]
    bounds = (frame["_hr_known"].dt.epoch("us").min(), frame["_hr_known"].dt.epoch("us").max())
    note = dict(zip(("min_known_us", "max_known_us"), map(str, bounds), strict=True))
    table.commit(staged, schema=frame.schema, mode="append", partition_by=["_hr_day"], metadata=note)


def asked(platform: Platform, view: str, entities: Mapping[str, Sequence[Any]], at: int) -> list[Origin | str]:
    """The origin of each entity's newest row."""
    chosen = Selection(platform.definitions.view(view))
    found = read(platform, chosen, entities, at)
    head = found.answer.heads[view]
    return newest_rows(platform.context, chosen, head, entities, found.steps[view], at)


def read(platform: Platform, chosen: Selection, entities: Mapping[str, Sequence[Any]], at: int) -> Traced:
    return traced(OnlineReader.of(platform.context, FeatureService("asked", features=[chosen])), entities, at)


def places(origins: Sequence[Origin | str]) -> list[int | None]:
    return [origin.row if isinstance(origin, Origin) else None for origin in origins]


# ---------------------------------------------------------------- by plain search


def newest_ping(at: int, resolution: int = 1, **wanted: Any) -> int | None:
    """The place, from 1, of the newest ping that is known by then."""
    known = [
        (row["ts"], row["seen_at"], row["ping_id"], number)
        for number, row in enumerate(ROWS["pings"], 1)
        if all(row[name] == value if not callable(value) else value(row[name]) for name, value in wanted.items())
        and -(-(max(row["ts"], row["seen_at"]) + 1) // resolution) * resolution <= at
    ]
    return max(known)[-1] if known else None


def newest_ride(at: int, driver: int) -> int | None:
    """The newest of the rides that are there, as the log has them by then."""
    there: dict[int, tuple[int, int, int, int]] = {}
    for number, entry in enumerate(ROWS["rides"], 1):
        if entry["_known"] < at:
            there.pop(entry["ride_id"], None)
            if entry["_op"] != "delete":
                there[entry["ride_id"]] = (entry["asked_at"], entry["_known"], number, entry["driver_id"])
    own = [each for each in there.values() if each[3] == driver]
    return max(own)[2] if own else None


def newest_paper(at: int, driver: int) -> int | None:
    """A driver's row in the last snapshot that is known by then."""
    days = {row["_snapshot"] for row in ROWS["papers"]}
    known = [day for day in days if day * DAY + DAY - 1 + 5 * HOUR // 2 < at]
    own = [n for n, row in enumerate(ROWS["papers"], 1) if (row["_snapshot"], row["driver_id"]) == (max(known), driver)]
    return own[0] if own else None


DRIVERS = [*range(8), 404]


@pytest.mark.parametrize("at", TIMES)
@pytest.mark.parametrize("view", ["driver_now", "tiled", "recent"])
def test_of_events(platform: Platform, view: str, at: int) -> None:
    found = places(asked(platform, view, {"driver_id": DRIVERS}, at))
    assert found == [newest_ping(at, driver_id=driver) for driver in DRIVERS]
    assert found[-1] is None
    assert found[0] is not None


@pytest.mark.parametrize("at", TIMES)
def test_of_a_view_with_a_condition_and_a_resolution(platform: Platform, at: int) -> None:
    entities = {"driver_id": [driver for driver in DRIVERS for _ in "ab"], "zone": ["a", "c:d"] * len(DRIVERS)}
    found = places(asked(platform, "place_now", entities, at))
    pairs = zip(entities["driver_id"], entities["zone"], strict=True)
    assert found == [
        newest_ping(at, 10 * SECOND, driver_id=driver, zone=zone, n=lambda n: n > 3) for driver, zone in pairs
    ]


@pytest.mark.parametrize("at", TIMES)
def test_of_a_transform(platform: Platform, at: int) -> None:
    found = places(asked(platform, "fast_now", {"driver_id": DRIVERS}, at))
    assert found == [newest_ping(at, driver_id=driver, speed=lambda v: v is not None and v > 1) for driver in DRIVERS]


def test_of_a_masked_key_and_of_no_key(platform: Platform) -> None:
    assert places(asked(platform, "person_now", {"phone": ["+49 3", "+49 99"]}, NOW)) == [
        newest_ping(NOW, driver_id=3), None,
    ]  # fmt: skip
    assert places(asked(platform, "city_now", {}, NOW)) == [newest_ping(NOW)]


@pytest.mark.parametrize("at", TIMES)
def test_of_changes(platform: Platform, at: int) -> None:
    found = places(asked(platform, "ride_now", {"driver_id": DRIVERS}, at))
    assert found == [newest_ride(at, driver) for driver in DRIVERS]


def test_of_snapshots_as_far_as_they_are_published(platform: Platform) -> None:
    """The last day's file is known after the frontier: nothing that is served rests on it."""
    for at in TIMES:
        found = places(asked(platform, "paper_now", {"driver_id": DRIVERS}, at))
        assert found == [newest_paper(NOW, driver) for driver in DRIVERS]
    assert END + 5 * HOUR // 2 > NOW


def test_rows_that_are_ingested_and_not_published_are_behind_no_value(platform: Platform) -> None:
    before = asked(platform, "driver_now", {"driver_id": DRIVERS}, NOW + DAY)
    late = {**ROWS["pings"][0], "ts": NOW + SECOND, "seen_at": NOW + SECOND}
    put(platform, "pings", [{**late, "ping_id": f"late-{driver}", "driver_id": driver} for driver in range(8)])
    assert asked(platform, "driver_now", {"driver_id": DRIVERS}, NOW + DAY) == before


# ---------------------------------------------------------------- what can't be told


def test_what_is_too_much_to_search_is_not_searched(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage_rows, "MOST_ROWS", 10)
    (found,) = asked(platform, "fast_now", {"driver_id": [1]}, NOW)
    assert isinstance(found, str)
    assert "more than the 10" in found
    assert isinstance(asked(platform, "driver_now", {"driver_id": [1]}, NOW)[0], Origin)


def test_a_row_that_the_lake_has_no_longer_is_not_made_up(platform: Platform, tmp_path: Path) -> None:
    chosen = Selection(platform.definitions.view("driver_now"))
    found = read(platform, chosen, {"driver_id": [1]}, NOW)
    (step,) = found.steps["driver_now"]
    assert step is not None
    strange = step._replace(event_time=START - 1)
    head = found.answer.heads["driver_now"]
    (reason,) = newest_rows(platform.context, chosen, head, {"driver_id": [1]}, [strange], NOW)
    assert isinstance(reason, str)
    assert "the lake does not have this row" in reason
    assert "known through" in reason


@pytest.mark.parametrize(
    ("stream", "place", "told"),
    [
        (hr.Kafka(topic="eu/gps"), "eu/gps/3", {"topic": "eu/gps", "partition": 3, "offset": 9}),
        (hr.Files("in/*.jsonl"), "in/3", {"file": "in/3", "offset": 9}),
    ],
)
def test_an_origin_in_a_stream(stream: Any, place: str, told: Row) -> None:
    source = hr.EventSource("gps", schema={"k": hr.Int64, "ts": hr.Timestamp}, event_time="ts", stream=stream)
    entity = hr.Entity("thing", keys={"k": hr.Int64})
    view = hr.FeatureView("now", entity=entity, source=source, features={"n": hr.count()})
    found = row_origin(Selection(view), Origin("stream", place, 9, "stream-1", NOW, NOW))
    import msgspec

    assert json.loads(msgspec.json.encode(found)) == {
        "kind": "stream", "batch": "stream-1", "arrived_at": "2026-01-09T01:00:00Z", "known_at": "2026-01-09T01:00:00Z",
        **told,
    }  # fmt: skip
