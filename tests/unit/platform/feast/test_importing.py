"""A project from a Feast repository: each kind of object, what it became, and what is said of it."""

from __future__ import annotations

import math
from typing import Any

import pytest

import headrace as hr
from headrace.definitions.project import Definitions
from headrace.platform import Platform
from headrace.platform.feast.importing import import_feast
from headrace.types import duration
from tests.unit.platform.feast.repositories import cells, repository


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Platform, str]:
    folder = tmp_path_factory.mktemp("imported")
    imported = import_feast(repository(folder / "repo"), folder / "shop")
    return Platform.open(imported.root), imported.report.markdown()


@pytest.fixture(scope="module")
def found(made: tuple[Platform, str]) -> Definitions:
    return made[0].definitions


@pytest.fixture(scope="module")
def page(made: tuple[Platform, str]) -> str:
    return made[1]


def test_entities(found: Definitions) -> None:
    assert found.entities["driver"] == hr.Entity("driver", {"driver_id": hr.Int64}, "Who drives")
    assert dict(found.entities["driver_customer"].keys) == {"driver_id": hr.Int64, "customer_id": hr.String}


def test_a_view_is_the_newest_row_s_columns(found: Definitions) -> None:
    view = found.views["driver_stats"]
    assert dict(view.features) == {"conv_rate": hr.last("conv", description="Share"), "trips": hr.last("trips")}
    assert (view.ttl, view.owner, view.tags) == (duration("2h"), "a@example.com", ("team=city",))


def test_a_source_stays_where_it_is_and_counts_as_feast_does(found: Definitions, made: tuple[Platform, str]) -> None:
    source = found.sources["stats"]
    assert source.batch == hr.Files(str(made[0].context.root.parent / "repo" / "data" / "stats.parquet"))
    assert (source.event_time, source.available_time, source.timezone) == ("ts", "created", "UTC")
    assert source.inclusive
    assert source.schema["conv"] == hr.Float64


def test_what_is_not_said_is_inferred_from_the_file(found: Definitions, page: str) -> None:
    assert set(found.views["inferred_view"].features) == {"conv_rate", "trips", "customer_id"}
    assert not found.views["inferred_view"].online
    assert "It is called inferred_view here. Its schema was inferred from the file." in cells(page, "Inferred-View")
    assert found.views["everyone"].entity is None
    assert found.views["pairs"].ttl is None


def test_streams(found: Definitions) -> None:
    assert found.sources["fresh_source"].stream == hr.Files("push/fresh_source*.jsonl")
    assert found.sources["clicks"].stream == hr.Kafka("clicks.v1", format="avro")


def test_aggregations_are_windows(found: Definitions, page: str) -> None:
    assert dict(found.views["counted"].features) == {
        "sum_trips_3600s": hr.sum("trips", window=hr.tumbling("1h")),
        "max_trips_3600s": hr.max("trips", window=hr.hopping("1h", hop="10m")),
    }
    assert "median_trips stayed behind: there is no aggregate 'median'" in cells(page, "counted")


def test_a_warehouse_needs_an_export(found: Definitions, page: str) -> None:
    assert found.sources["warehouse"].batch == hr.Files("landing/warehouse/*.parquet")
    assert found.sources["warehouse"].schema["tags"] == hr.List(hr.String)
    assert "BigQuerySource is not read: export warehouse as Parquet into landing/" in cells(page, "warehouse")


def test_services_with_aliases_and_other_keys(found: Definitions, page: str) -> None:
    assert found.services["routes"].columns == ("origin__conv_rate", "origin__trips", "goal__trips")
    assert [chosen.key_columns for chosen in found.services["routes"].selections] == [
        {"driver_id": "origin_id"}, {"driver_id": "goal_id"},
    ]  # fmt: skip
    assert "Without derived, which stayed behind." in cells(page, "routes")
    assert "nothing" not in found.services


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("moved", "function of its own"),
        ("derived", "derived from another view"),
        ("needs_map", "It reads driver_stats:meta, which stayed behind"),
        ("needs_feast", "It uses 'stats_view', which is of Feast's own kind"),
        ("nothing", "None of its features came along"),
        ("read", "Who may read"),
        ("wonder", "No view that came along reads it"),
        ("customer", "It is a part of an entity with several keys"),
    ],
)
def test_what_stays_behind_has_a_reason(page: str, name: str, why: str) -> None:
    assert why in cells(page.partition("## What did not come along")[2], name)


def test_what_has_no_type_or_no_column_is_named(page: str) -> None:
    line = cells(page, "driver_stats")
    assert "meta stayed behind: there is no type for Feast's Map." in line
    assert "absent stayed behind:" in line
    assert "stats.parquet has no such column." in line


def test_settings_take_no_password_along(made: tuple[Platform, str]) -> None:
    settings = made[0].context.settings
    assert (settings.name, settings.online, settings.kafka) == (
        "shop", "rediss://redis.example.com:6379/0", "kafka.example.com:9092",
    )  # fmt: skip
    assert "very-secret" not in made[1] + (made[0].context.root / "headrace.toml").read_text()
    assert "HEADRACE_ONLINE" in cells(made[1], "redis")


def test_functions_of_pandas_lists_and_rows_answer_as_in_feast(
    made: tuple[Platform, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = made[0].context.root
    monkeypatch.setenv("HEADRACE_ONLINE", "lmdb:./online")
    platform = Platform.open(root)
    platform.apply()
    platform.ingest("stats")
    platform.backfill("driver_stats")
    answer = platform.online("model", {"driver_id": [7, 8, 9], "add": [1, 2, 3]})
    found: dict[str, Any] = answer.to_dict()
    assert found["driver_stats__trips"] == [2, 5, None]
    assert found["added__sum"] == [2001.0, 5002.0, None]
    assert found["added__log"] == [math.log(2), math.log(5), None]
    assert found["listed__far"] == [3, 5, None]
    assert found["single__word"] == ["2!\n!", "5!\n!", "None!\n!"]
