"""Asking the online store: what is answered, in which form, and what is said when it can't be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headrace.errors import DefinitionError, NotAppliedError, OnlineStoreError, SettingsError, UnknownNameError
from headrace.online.record_keys import record_prefix
from headrace.platform import Platform
from headrace.platform.online import OnlineReader
from headrace.platform.online_heads import read_head
from headrace.quality.masking import KEY_VARIABLE
from headrace.timeline.packed import STATUSES
from headrace.types import DAY, SECOND
from tests.integration.online_answers import STORES, store_url
from tests.integration.pings import FEATURES, NOW, SETTINGS, START, project, put, some_rows

HOUR = 3_600 * SECOND
END = START + 4 * DAY
ROWS = some_rows(seed=1, days=4, n=300)
MORE = """
city = hr.FeatureView("city", entity=None, source=pings, features={
    "n": hr.count(), "n_30m": hr.count(window=hr.sliding("30m", hop="5m"))})

@hr.on_demand(inputs=[driver_now, city], request={"base": hr.Float64, "now": hr.RequestTime()},
              outputs={"share": hr.Float64, "hour": hr.Int8})
def fare(rows, city__n, base, now):
    return {"share": base + rows / city__n, "hour": now.dt.hour()}

both = hr.FeatureService("both", features=[city["n_30m"], driver_now["rows"], fare, city["n"]])
two = hr.FeatureService("two", features=[
    driver_now.alias("a", keys={"driver_id": "first"})["rows"],
    driver_now.alias("b", keys={"driver_id": "second"})[["total", "rows"]]])
all_over = hr.FeatureService("all_over", features=[city])
"""


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for found in store_url(request, tmp_path):
        monkeypatch.setenv("HEADRACE_ONLINE", found)
        yield found


@pytest.fixture
def platform(url: str, tmp_path: Path) -> Platform:
    return published(tmp_path / "project", FEATURES + MORE, ["driver_now", "city"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """The same for tests that change nothing, where the kind of store plays no part."""
    return published(tmp_path_factory.mktemp("served"), FEATURES + MORE, ["driver_now", "city"])


def published(root: Path, features: str, views: list[str]) -> Platform:
    """A project whose views are backfilled through `END`."""
    project(root)
    (root / "features.py").write_text(features)
    platform = Platform.open(root, clock=lambda: NOW)
    platform.apply()
    put(platform, ROWS)
    for view in views:
        platform.backfill(view, end=END)
    return platform


def at_end(keys: dict[str, list[Any]]) -> pl.DataFrame:
    """Labels right before the frontier: the last instant that offline readers may ask for."""
    n = len(next(iter(keys.values()), [0]))
    return pl.DataFrame(keys).with_columns(pl.Series("label_time", [END - 1] * n).cast(pl.Datetime("us", "UTC")))


@pytest.mark.parametrize("service", ["model", "both", "two"])
def test_online_answers_as_a_training_set_does(service: str, platform: Platform) -> None:
    keys: dict[str, list[Any]] = {"driver_id": [4, 1, 99, 1], "base": [0.5] * 4, "first": [0, 1, 2, 99]}
    keys["second"] = [3, 99, 1, 0]
    offline = platform.training_set(at_end(keys), service, statuses=True)
    found = platform.online(service, keys, at=END - 1)
    frame = found.to_frame()
    assert_frame_equal(frame, offline.select(frame.columns), rel_tol=1e-12)
    codes = [dict(zip(found.names, map(STATUSES.__getitem__, row), strict=True)) for row in found.statuses]
    for column in (name for name in found.names if f"{name}__status" in offline.columns):
        assert [row[column] for row in codes] == offline[f"{column}__status"].to_list()


def test_the_forms_of_a_request_and_of_an_answer(served: Platform) -> None:
    rows = [{"driver_id": 1, "note": "x"}, {"driver_id": 2, "note": "y"}]
    one = served.online("model", rows, at=END)
    frame = pl.DataFrame(rows)
    for given in (frame, frame.lazy(), frame.to_arrow(), frame.to_dict(as_series=False)):
        assert served.online("model", given, at="2026-01-09") == one
    assert one.names == served.definitions.service("model").columns
    assert list(one.to_dict()) == ["driver_id", "note", *one.names]
    assert one.to_dicts() == one.to_frame().to_dicts()
    assert one.to_dicts()[1]["note"] == "y"
    assert one.status_names()[0]["driver_now__rows"] == "PRESENT"
    assert all(len(row) == len(one.names) for row in one.event_times)
    newest = max(row["ts"] for row in ROWS if row["driver_id"] == 1 and row["seen_at"] < END)
    assert one.event_times[0][0] == newest


def test_now_is_the_time_of_the_request(served: Platform) -> None:
    assert served.online("model", {"driver_id": [1]}).at == NOW
    assert served.online("model", {"driver_id": [1]}).rows[0][0] is None, "its ttl is long over"


def test_a_global_view_is_one_for_every_row(served: Platform) -> None:
    n = sum(max(row["ts"], row["seen_at"]) < END for row in ROWS)
    assert [row[0] for row in served.online("all_over", {}, at=END).rows] == [n]
    both = served.online("both", {"driver_id": [1, 2], "base": [0.0, 0.0]}, at=END)
    assert both.to_dict()["city__n"] == [n, n]
    found = served.online("all_over", [{"any": 1}, {"any": 2}], at=END)
    assert [row[0] for row in found.rows] == [n, n]
    assert found.to_dicts()[1]["any"] == 2


def test_nobody_is_asked_for(served: Platform) -> None:
    found = served.online("model", {"driver_id": []}, at=END)
    assert (found.rows, found.to_dicts()) == ([], [])
    assert found.to_frame().shape == (0, 7)


def test_a_null_key_finds_nothing(served: Platform) -> None:
    found = served.online("model", {"driver_id": [None, 1]}, at=END)
    assert {STATUSES[code] for code in found.statuses[0]} == {"NOT_FOUND"}
    assert found.rows[1][1] == served.online("model", {"driver_id": [1]}, at=END).rows[0][1]


def test_the_past_is_not_known_online(served: Platform) -> None:
    found = served.online("model", {"driver_id": [1]}, at=START + DAY)
    assert {STATUSES[code] for code in found.statuses[0]} == {"INCOMPLETE"}
    before = served.online("model", {"driver_id": [1, 99]}, at=START - DAY)
    assert {STATUSES[code] for row in before.statuses for code in row} == {"INCOMPLETE"}


def test_a_reader_whose_clock_is_a_minute_behind(served: Platform) -> None:
    head = read_head(served.context.online, "driver_now")
    assert head is not None
    behind = served.online("model", {"driver_id": [0, 1, 2, 3, 4]}, at=head.frontier - 60 * SECOND)
    assert "INCOMPLETE" not in {STATUSES[code] for row in behind.statuses for code in row}


@pytest.mark.parametrize(
    ("service", "given", "error", "message"),
    [
        ("modle", {"driver_id": [1]}, UnknownNameError, "Did you mean 'model'"),
        ("model", {"driver": [1]}, UnknownNameError, "no column 'driver_id'. Did you mean 'driver'"),
        ("both", {"driver_id": [1]}, UnknownNameError, "no column 'base'"),
        ("model", {"driver_id": [1, "x"]}, DefinitionError, "column 'driver_id', row 1: 'x' is no Int64"),
        ("model", {"driver_id": [True]}, DefinitionError, "row 0: True is no Int64"),
        ("model", {"driver_id": [1.0]}, DefinitionError, "1.0 is no Int64"),
        ("model", {"driver_id": [2**64]}, DefinitionError, "is no Int64"),
        ("model", {"driver_id": [1], "note": []}, DefinitionError, "column 'note' has 0 values, and others have 1"),
        ("model", [{"driver_id": 1}, {}], DefinitionError, "row 1 and row 0 do not have the same columns: driver_id"),
        ("both", {"driver_id": [1], "base": ["x"]}, DefinitionError, "'base': its values are not all Float64: 'x'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_request(
    service: str, given: Any, error: type[Exception], message: str, served: Platform
) -> None:
    with pytest.raises(error, match=message):
        served.online(service, given, at=END)


def test_a_view_that_was_never_materialized(tmp_path: Path) -> None:
    platform = published(tmp_path, FEATURES + MORE, ["driver_now"])
    with pytest.raises(NotAppliedError, match=r"view 'city'.*Run: headrace materialize city"):
        platform.online("both", {"driver_id": [1], "base": [1.0]})


def test_a_feature_that_was_added_and_not_backfilled(platform: Platform) -> None:
    text = (platform.context.root / "features.py").read_text()
    (platform.context.root / "features.py").write_text(
        text.replace('"n": hr.last("n"),', '"n": hr.last("n"), "m": hr.max("n"),')
    )
    changed = Platform.open(platform.context.root, clock=lambda: NOW)
    changed.apply()
    with pytest.raises(
        NotAppliedError, match=r"feature 'm' was added and has not been backfilled yet.*headrace backfill"
    ):
        changed.online("model", {"driver_id": [1]}, at=END)
    assert changed.online("two", {"first": [1], "second": [2]}, at=END).rows, "features that are there go on"
    changed.backfill("driver_now", end=END)
    assert changed.online("model", {"driver_id": [1]}, at=END).rows


def test_a_changed_ttl_is_told_to_the_store_when_it_is_applied(platform: Platform) -> None:
    root = platform.context.root
    asked, at = {"driver_id": [1, 2, 3]}, END + 3 * 3600 * 1_000_000
    old = platform.online("model", asked, at=at).status_names()
    assert {each["driver_now__n"] for each in old} == {"OUTSIDE_MAX_AGE"}
    (root / "features.py").write_text((root / "features.py").read_text().replace('ttl="2h"', 'ttl="30d"'))
    changed = Platform.open(root, clock=lambda: NOW)
    changed.apply()
    found = changed.online("model", asked, at=at).status_names()
    assert {each["driver_now__n"] for each in found} == {"PRESENT"}


def test_a_pin_chooses_the_definition_with_the_newest_values_under_it(platform: Platform) -> None:
    service = platform.definitions.service("model")
    pinned = type(service)("pinned", features=[platform.definitions.view("driver_now") @ 1])
    platform.backfill("driver_now", end=END + DAY)
    asked = {"driver_id": [1, 2, 3]}
    at = END + DAY
    assert platform.online(pinned, asked, at=at).to_dicts() == platform.online("model", asked, at=at).to_dicts()


def test_a_damaged_record_is_told(platform: Platform) -> None:
    store = platform.context.online
    head = read_head(store, "driver_now")
    assert head is not None
    for key, value in list(store.scan(record_prefix(head.fingerprint))):
        store.put_many([(key, value[:-3])])
    with pytest.raises(
        OnlineStoreError, match=r"view 'driver_now'.*is damaged.*headrace materialize driver_now --whole"
    ):
        platform.online("model", {"driver_id": [1]}, at=END)
    platform.materialize("driver_now", whole=True)
    assert platform.online("model", {"driver_id": [1]}, at=END).rows


def test_a_damaged_head_is_told_and_written_again(platform: Platform) -> None:
    store = platform.context.online
    ((key, value),) = store.scan(b"hdriver_now")
    store.put_many([(key, value[:-30])])
    with pytest.raises(OnlineStoreError, match=r"view 'driver_now'.*headrace materialize driver_now --whole"):
        platform.online("model", {"driver_id": [1]}, at=END)
    assert platform.materialize("driver_now").whole
    assert platform.online("model", {"driver_id": [1]}, at=END).rows


def test_a_reader_is_told_what_a_request_brings(served: Platform) -> None:
    reader = OnlineReader.of(served.context, "both")
    assert {name: str(dtype) for name, dtype in reader.columns.items()} == {"driver_id": "Int64", "base": "Float64"}


TYPES = """
import headrace as hr

place = hr.Entity("place", keys={
    "name": hr.String, "day": hr.Date, "number": hr.Int32, "raw": hr.Binary, "is": hr.Bool})
VALUES = {
    "b": hr.Bool, "i8": hr.Int8, "i16": hr.Int16, "i32": hr.Int32, "i64": hr.Int64, "u8": hr.UInt8, "u16": hr.UInt16,
    "u32": hr.UInt32, "f32": hr.Float32, "f64": hr.Float64, "s": hr.String, "raw_value": hr.Binary, "d": hr.Date,
    "at": hr.Timestamp, "fee": hr.Decimal(10, 2), "v": hr.Vector(hr.Float32, 3), "xs": hr.List(hr.Int64),
}
things = hr.EventSource(
    "things", schema={"id": hr.Int64, "ts": hr.Timestamp, **place.keys, **VALUES}, event_time="ts", dedupe_on="id")
now = hr.FeatureView("now", entity=place, source=things, features={
    **{f"last_{name}": hr.last(name) for name in VALUES},
    "fees": hr.sum("fee", hr.sliding("1h", hop="10m")), "mean_fee": hr.mean("fee", hr.sliding("1h", hop="10m")),
    "least_day": hr.min("d", hr.sliding("1h", hop="10m")), "newest": hr.last_n("s", 2),
    "some": hr.count(where="i8 > 1"),
})
all_types = hr.FeatureService("all_types", features=[now])
"""
THING: dict[str, Any] = {
    "name": "Zürich\0!", "day": date(2026, 1, 5), "number": -3, "raw": b"\0\1", "is": True, "b": False, "i8": -8,
    "i16": -16, "i32": -32, "i64": -(2**60), "u8": 255, "u16": 65_535, "u32": 2**32 - 1, "f32": 0.5, "f64": 1e300,
    "s": "a\0b", "raw_value": b"\xff\0", "d": date(1969, 12, 31), "at": datetime(2026, 1, 5, 8, 0, 0, 1, tzinfo=UTC),
    "fee": Decimal("12.34"), "v": [1.0, None, 3.5], "xs": [1, None, -3],
}  # fmt: skip


@pytest.mark.usefixtures("url")
def test_every_type_of_keys_and_values(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text(SETTINGS)
    (tmp_path / "features.py").write_text(TYPES)
    platform = Platform.open(tmp_path, clock=lambda: NOW)
    platform.apply()
    keys = list(platform.definitions.view("now").entity_keys)
    nothing = {name: None for name in THING if name not in keys}
    things = [THING, {**THING, "name": ""}, {**THING, "number": 3, **nothing}, {**THING, "is": False, "s": None}]
    silver_of(platform, [{**thing, "id": i, "ts": START + i * HOUR} for i, thing in enumerate([*things, THING])])
    platform.backfill("now", end=START + 4 * HOUR + 2)
    asked = pl.DataFrame(
        [{key: thing[key] for key in keys} for thing in [*things, {**THING, "name": "nobody"}]],
        schema={
            key: dtype for key, dtype in platform.context.lake.table("silver", "things").schema().items() if key in keys
        },
    )
    for at in (START + 4 * HOUR + 1, START + 3 * HOUR + 59 * 60 * SECOND):
        labels = asked.with_columns(label_time=pl.lit(at).cast(pl.Datetime("us", "UTC")))
        offline = platform.training_set(labels, "all_types").drop("label_time")
        assert_frame_equal(platform.online("all_types", asked, at=at).to_frame(), offline)
    with pytest.raises(DefinitionError, match="column 'day', row 0: '2026-01-05' is no Date, which key 'day' of view"):
        platform.online("all_types", {**asked.to_dict(as_series=False), "day": ["2026-01-05"] * 5})


def silver_of(platform: Platform, rows: list[dict[str, Any]]) -> None:
    """Put rows of things into silver."""
    from headrace.testing import silver

    frame = silver(platform.definitions.source("things"), rows)
    frame = frame.with_columns(pl.col("_hr_known").dt.date().alias("_hr_day"))
    table = platform.context.lake.table("silver", "things")
    table.commit(
        [table.stage(frame, {"_hr_day": "2026-01-05"})], schema=frame.schema, mode="append", partition_by=["_hr_day"],
        metadata={"min_known_us": str(START)},
    )  # fmt: skip


MASKED = FEATURES.replace('dedupe_on="ping_id",', 'dedupe_on="ping_id", personal={"driver_id": hr.mask.hmac()},')


@pytest.mark.usefixtures("url")
def test_masked_keys_are_asked_for_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a key for these tests alone")
    project(tmp_path)
    (tmp_path / "features.py").write_text(MASKED)
    platform = Platform.open(tmp_path, clock=lambda: NOW)
    platform.apply()
    put_masked(platform)
    platform.backfill("driver_now", end=END)
    found = platform.online("model", {"driver_id": [1, None, 99]}, at=END - 1)
    offline = platform.training_set(at_end({"driver_id": [1, None, 99]}), "model")
    assert_frame_equal(found.to_frame(), offline.drop("label_time"))
    assert found.rows[0][1] is not None
    assert b"\x01" + (1).to_bytes(8) not in b"".join(key for key, _ in platform.context.online.scan(b""))
    with pytest.raises(DefinitionError, match="column 'driver_id': its values are not all Int64: 'x'"):
        platform.online("model", {"driver_id": ["x"]})
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(SettingsError, match=KEY_VARIABLE):
        platform.online("model", {"driver_id": [1]})


def put_masked(platform: Platform) -> None:
    """Rows in silver as the ingestion leaves them: with hashes for the drivers."""
    from headrace.quality.masking import mask_frame
    from headrace.testing import silver

    source = platform.definitions.source("pings")
    frame = mask_frame(silver(source, ROWS), source).with_columns(pl.col("_hr_known").dt.date().alias("_hr_day"))
    table = platform.context.lake.table("silver", "pings")
    days = frame.partition_by("_hr_day", as_dict=True)
    table.commit(
        [table.stage(part, {"_hr_day": str(day)}) for (day,), part in days.items()], schema=frame.schema, mode="append",
        partition_by=["_hr_day"], metadata={"min_known_us": str(START)},
    )  # fmt: skip
