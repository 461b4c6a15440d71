"""A wrong definition is refused when it is built, with its place and the nearest right name."""

from __future__ import annotations

from datetime import timedelta

import pytest

import headrace as hr
from headrace.definitions.services import FeatureService
from headrace.errors import DefinitionError, TimeError, UnknownNameError
from tests.unit.definitions.examples import (
    Build,
    available,
    cell,
    documents,
    driver,
    driver_now,
    gps,
    rides,
    source,
    view,
)

UNKNOWN: dict[str, tuple[Build, str, str]] = {
    "a feature's column": (
        lambda: view(features={"s": hr.mean("spede")}),
        "view 'v', feature 's': there is no column 'spede'",
        "speed",
    ),
    "a condition's column": (
        lambda: view(features={"s": hr.count(where=hr.col("statsu") == "free")}),
        "view 'v', feature 's', where: there is no column 'statsu'",
        "status",
    ),
    "a view's condition": (lambda: view(where="sped > 3"), "view 'v', where: there is no column 'sped'", "speed"),
    "a view's time": (lambda: view(event_time="tss"), "view 'v', event_time: there is no column 'tss'", "ts"),
    "a renamed key's column": (
        lambda: view(keys={"driver_id": "drivr_id"}),
        "view 'v', key 'driver_id': there is no column 'drivr_id'",
        "driver_id",
    ),
    "a key": (lambda: view(keys={"driver": "driver_id"}), "view 'v', keys: there is no key 'driver'", "driver_id"),
    "a check's feature": (
        lambda: view(checks=[hr.check.not_null("m")]),
        "view 'v', checks: there is no feature 'm'",
        "",
    ),
    "a selected feature": (
        lambda: driver_now["last_pong"],
        "view 'driver_now': there is no feature 'last_pong'",
        "last_ping",
    ),
    "an alias's key": (
        lambda: driver_now.alias("other", keys={"driverid": "x"}),
        "view 'driver_now', alias 'other': there is no key 'driverid'",
        "driver_id",
    ),
    "a source's time": (lambda: source(event_time="tz"), "source 'gps': there is no column 'tz'", "ts"),
    "a topic's key": (
        lambda: source(stream=hr.Kafka("gps", key="driver")),
        "source 'gps': there is no column 'driver'",
        "driver_id",
    ),
    "a source's identity": (lambda: source(dedupe_on="event"), "source 'gps': there is no column 'event'", "event_id"),
    "a contract's column": (
        lambda: source(contract=[hr.check.not_null("speeed")]),
        "source 'gps': there is no column 'speeed'",
        "speed",
    ),
    "a masked column": (
        lambda: source(personal={"stats": hr.mask.drop()}),
        "source 'gps': there is no column 'stats'",
        "status",
    ),
    "a choice": (
        lambda: source(on_added_column="evolv"),
        "source 'gps', on_added_column: there is no choice 'evolv'",
        "evolve",
    ),
    "a primary key": (
        lambda: hr.ChangeSource("c", schema={"ride_id": hr.Int64, "t": hr.Date}, event_time="t", primary_key="rideid"),
        "source 'c', primary_key: there is no column 'rideid'",
        "ride_id",
    ),
    "a definition": (
        lambda: hr.Definitions.of([driver_now]).view("driver_nwo"),
        "this project: there is no view 'driver_nwo'",
        "driver_now",
    ),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_an_unknown_name_is_placed_and_answered_with_the_nearest(case: str) -> None:
    build, start, nearest = UNKNOWN[case]
    with pytest.raises(UnknownNameError) as caught:
        build()
    assert str(caught.value).startswith(start)
    assert not nearest or f"Did you mean '{nearest}'?" in str(caught.value)


REFUSED: dict[str, tuple[Build, str]] = {
    "a sum of texts": (lambda: view(features={"s": hr.sum("status")}), "takes a number, but the column is String"),
    "distinct lists": (lambda: view(features={"s": hr.count_distinct("path")}), "takes any flat type"),
    "a text as a time": (lambda: view(event_time="status"), "'status' is String; a Timestamp or Date is needed"),
    "a source's text as a time": (lambda: source(event_time="status"), "a Timestamp or Date is needed"),
    "no event time": (lambda: source(event_time=None), "event_time is needed"),
    "a key of another type": (lambda: view(keys={"driver_id": "status"}), "column 'status' is String"),
    "a feature named as a key": (lambda: view(features={"driver_id": hr.count()}), "the name of a key"),
    "a lifetime's count of less": (
        lambda: view(source=source(complete_from="2026-01-05")),
        "a lifetime count needs every row since the beginning",
    ),
    "no features": (lambda: view(features={}), "has no features"),
    "no aggregation": (lambda: view(features={"s": "last"}), "'last' is no aggregation"),
    "an empty ttl": (lambda: view(ttl="0s"), "ttl must be longer than nothing"),
    "a name in capitals": (lambda: hr.Entity("Driver", keys={"a": hr.Int64}), "lower-case"),
    "a name with two underscores": (lambda: view(features={"a__b": hr.count()}), "'__' is kept"),
    "a float as a key": (lambda: hr.Entity("e", keys={"x": hr.Float64}), "Float64 can't be a key"),
    "an entity without keys": (lambda: hr.Entity("e", keys={}), "has no keys"),
    "a column of headrace's": (lambda: source(schema={"_hr_x": hr.Int64, "ts": hr.Date}), "headrace's own"),
    "a share above one": (lambda: source(max_rejected_share=1.5), "no share of 1"),
    "an unbounded check": (lambda: hr.check.between("speed"), "give low, high or both"),
    "an empty choice": (lambda: hr.check.is_in("speed", []), "list at least one"),
    "an empty choice in a condition": (lambda: hr.col("speed").is_in([]), "list at least one"),
    "a joined condition": (lambda: bool(hr.col("a") == 1), "join conditions with & and |"),
    "a snapshot without a day": (
        lambda: hr.SnapshotSource("s", schema={"a": hr.Int64}, primary_key="a", batch=hr.Files("a.csv")),
        "does not say where a file's day is",
    ),
    "a change without a key": (
        lambda: hr.ChangeSource("c", schema={"t": hr.Date}, event_time="t", primary_key=()),
        "primary_key is needed",
    ),
    "an unknown format": (lambda: hr.Files("a.xml"), "none of parquet, csv, jsonl, debezium"),
    "a service without features": (lambda: FeatureService("s", features=[]), "has no features"),
    "an outputless function": (lambda: hr.on_demand(outputs={})(available.function), "declares no outputs"),
    "a lambda": (lambda: hr.transform(lambda rows: rows), "can't be named in a definition"),
    "a quantile of 2": (lambda: hr.quantile("speed", 2), "q is between 0 and 1"),
    "no rows kept": (lambda: hr.last_n("speed", 0), "n is at least 1"),
    "no window": (lambda: hr.mean("speed", window="5m"), "is no window"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_itself_is_refused(case: str) -> None:
    build, part = REFUSED[case]
    with pytest.raises(DefinitionError, match=part.replace("(", r"\(")):
        build()


TIMES: dict[str, tuple[Build, str]] = {
    "no duration": (lambda: view(ttl="10 minutes"), "no duration"),
    "months": (lambda: view(ttl="1mo"), "no duration"),
    "a negative length": (lambda: source(known_after=timedelta(seconds=-1)), "never negative"),
    "no zone": (lambda: source(complete_from="2026-01-05T08:00:00"), "has no time zone"),
    "an unknown zone": (lambda: source(timezone="Europe/Pari"), "there is no time zone 'Europe/Pari'"),
    "no time": (lambda: source(complete_from="yesterday"), "is no time"),
}


@pytest.mark.parametrize("case", TIMES)
def test_a_time_that_must_be_guessed_is_refused(case: str) -> None:
    build, part = TIMES[case]
    with pytest.raises(TimeError, match=part):
        build()


@pytest.mark.parametrize(
    "sketch", [hr.quantile("speed", 0.5), hr.count_distinct("status", approximate=True)], ids=["quantile", "distinct"]
)
def test_sketches_are_refused_where_rows_are_updated(sketch: object) -> None:
    assert view(features={"s": sketch}).features["s"] == sketch
    with pytest.raises(DefinitionError, match=r"view 'v', feature 's': .* is a sketch.*source 'rides'"):
        view(source=rides, features={"s": sketch})


def test_two_definitions_of_one_name_are_refused() -> None:
    other = hr.Entity("driver", keys={"driver_id": hr.String})
    with pytest.raises(DefinitionError, match="two different definitions of entity 'driver'"):
        hr.Definitions.of([driver_now, other])
    assert hr.Definitions.of([driver_now, hr.Entity("driver", keys={"driver_id": hr.Int64})]).entity("driver") == driver


def test_definitions_bring_what_they_refer_to() -> None:
    found = hr.Definitions.of([FeatureService("s", features=[available]), "not a definition"])
    assert list(found.entities) == ["driver"]
    assert list(found.sources) == ["gps"]
    assert list(found.views) == ["driver_now"]
    assert list(found.on_demand) == ["available"]


def test_a_composite_key_needs_each_column() -> None:
    columns = {"city": hr.String, "cell_id": hr.UInt32, "ts": hr.Timestamp}
    both = hr.FeatureView("v", entity=cell, source=source(schema=columns), features={"n": hr.count()})
    assert both.key_columns == {"city": "city", "cell_id": "cell_id"}
    del columns["cell_id"]
    with pytest.raises(UnknownNameError, match="key 'cell_id': there is no column 'cell_id'"):
        hr.FeatureView("v", entity=cell, source=source(schema=columns), features={"n": hr.count()})


def test_a_global_view_has_no_keys() -> None:
    assert view(entity=None).key_columns == {}


def test_a_snapshot_needs_no_event_time() -> None:
    assert view(source=documents, features={"passed": hr.last("passed")}).time_column is None


def test_columns_of_a_transform_are_checked_when_they_are_known() -> None:
    from tests.unit.definitions.examples import moving

    made = view(transform=moving, features={"m": hr.mean("made")})
    with pytest.raises(UnknownNameError, match="view 'v', feature 'm': there is no column 'made'"):
        made.check_columns(dict(gps.schema))
    made.check_columns({**gps.schema, "made": hr.Float64})
    assert made.feature_type("m", {"made": hr.Int8}) == hr.Float64
