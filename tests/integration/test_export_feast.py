"""A project as a Feast repository: what Feast makes of it, and what comes back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.definitions.entities import Entity
from headrace.platform import Platform
from headrace.platform.feast.exporting import export_feast
from headrace.platform.feast.importing import import_feast
from headrace.platform.feast.report import Report
from tests.feast_environment import feast, feast_python

CHILD = Path(__file__).with_name("feast_repository_child.py")
FEATURES = """
import headrace as hr

driver = hr.Entity("driver", keys={"driver_id": hr.Int64}, description="Who drives")
place = hr.Entity("place", keys={"driver_id": hr.Int64, "zone": hr.String})
pings = hr.EventSource(
    "pings",
    schema={"driver_id": hr.Int64, "zone": hr.String, "ts": hr.Timestamp, "seen": hr.Timestamp, "n": hr.Int64,
            "speed": hr.Float32, "status": hr.String},
    event_time="ts", available_time="seen", batch=hr.Files("landing/*.parquet"),
)
pushed = hr.EventSource(
    "pushed", schema={"driver_id": hr.Int64, "ts": hr.Timestamp, "n": hr.Int64}, event_time="ts",
    batch=hr.Files("one.parquet"), stream=hr.Files("push/pushed*.jsonl"),
)
driver_now = hr.FeatureView("driver_now", entity=driver, source=pings, ttl="2h", owner="a@example.com",
    tags=["team=city", "eta"], description="The newest",
    features={"n": hr.last("n", description="A number"), "speed": hr.last("speed"), "status": hr.last("status")})
place_now = hr.FeatureView("place_now", entity=place, source=pings, features={"n": hr.last("n")})
city_now = hr.FeatureView("city_now", entity=None, source=pings, features={"status": hr.last("status")})
driver_fresh = hr.FeatureView("driver_fresh", entity=driver, source=pushed, features={"n": hr.last("n")})
driver_hour = hr.FeatureView("driver_hour", entity=driver, source=pings, ttl="1h", features={
    "rows": hr.count(window=hr.sliding("1h", hop="5m")), "mean": hr.mean("speed", window=hr.tumbling("10m")),
    "seen_n": hr.last("n")})
never = hr.FeatureView("never", entity=driver, source=pings, features={"total": hr.sum("n")})

@hr.on_demand(inputs=[driver_now["n"]], outputs={"twice": hr.Int64})
def doubled(n):
    return n * 2

model = hr.FeatureService("model", features=[driver_now[["speed", "n"]], driver_hour, doubled], tags=["live"])
both = hr.FeatureService("both", features=[driver_now["n"], driver_now.alias("other", keys={"driver_id": "other_id"})])
"""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    root = tmp_path_factory.mktemp("exported") / "city"
    (root / "landing").mkdir(parents=True)
    (root / "headrace.toml").write_text('name = "city"\nmodule = "features"\nonline = "lmdb:./online"\n')
    (root / "features.py").write_text(FEATURES)
    now = datetime.now(UTC)
    times = [now - timedelta(minutes=minutes) for minutes in (90, 50, 20, 3)]
    rows = pl.DataFrame({
        "driver_id": [7, 7, 8, 7], "zone": ["x", "y", "x", "x"], "ts": times, "seen": times, "n": [1, 2, 3, 4],
        "speed": pl.Series([1.5, 2.5, 3.5, 4.5], dtype=pl.Float32), "status": ["free", "busy", "free", "free"],
    })  # fmt: skip
    rows.write_parquet(root / "landing" / "a.parquet")
    rows.select("driver_id", "ts", "n").write_parquet(root / "one.parquet")
    platform = Platform.open(root)
    platform.apply()
    platform.ingest()
    for view in platform.definitions.views:
        if view != "never":
            platform.backfill(view)
    return platform


@pytest.fixture(scope="module")
def exported(city: Platform) -> tuple[Path, Report]:
    to = city.context.root.parent / "city_repo"
    return to, export_feast(city, to)


def test_there_and_back_again(city: Platform, exported: tuple[Path, Report], tmp_path: Path) -> None:
    back = Platform.open(import_feast(exported[0], tmp_path / "back").root).definitions
    there = city.definitions
    assert back.entities["driver"] == there.entities["driver"]
    assert back.entities["driver_id_zone"] == Entity("driver_id_zone", there.entities["place"].keys)
    for name in ("driver_now", "place_now", "city_now", "driver_fresh"):
        one, other = there.views[name], back.views[name]
        assert dict(one.features) == dict(other.features)
        assert (one.ttl, one.owner, one.tags, one.description) == (
            other.ttl,
            other.owner,
            other.tags,
            other.description,
        )
        assert one.entity_keys == other.entity_keys
    assert back.sources["pushed"].stream == there.sources["pushed"].stream
    assert back.sources["pings"].available_time == "seen"
    assert set(back.views["driver_hour"].features) == {"rows", "mean", "seen_n"}
    assert list(back.services["both"].columns) == list(there.services["both"].columns)
    assert list(back.services["model"].columns)[:2] == ["driver_now__speed", "driver_now__n"]
    assert back.services["model"].tags == ("live",)


def test_the_report_tells_what_feast_can_not_do(exported: tuple[Path, Report]) -> None:
    page = exported[1].markdown()
    assert "| on-demand | doubled |" in page
    assert "never been backfilled" in page
    assert "Its ttl is left out" in page
    assert (exported[0] / "feast-export.md").read_text() == page


def test_steps_are_exported_as_they_are_published(city: Platform, exported: tuple[Path, Report]) -> None:
    steps = pl.read_parquet(exported[0] / "data" / "driver_hour.parquet").filter(driver_id=7)
    history = city.history("driver_hour", {"driver_id": 7})
    assert steps.select("rows", "mean").rows() == history.select("rows", "mean").rows()
    assert steps["valid_from"].to_list() == history["valid_from"].to_list()


@pytest.mark.thorough
def test_feast_applies_and_serves_it(city: Platform, exported: tuple[Path, Report]) -> None:
    feast_python()
    keys = [{"driver_id": 7, "zone": "x"}, {"driver_id": 8, "zone": "y"}]
    features = ["driver_now:n", "driver_now:speed", "driver_hour:rows", "place_now:n", "city_now:status"]
    request = {"repository": str(exported[0]), "questions": [{"features": features, "entity_rows": keys}]}
    found: dict[str, Any] = feast(CHILD, request, cwd=exported[0])
    listed, values = found["listed"], found["answers"][0]["values"]
    assert listed["ttl_seconds"]["driver_now"] == 7200
    assert listed["services"]["model"] == ["driver_now", "driver_hour"]
    assert values["driver_now__n"] == [4, 3]
    assert values["driver_now__speed"] == [4.5, 3.5]
    assert values["place_now__n"] == [4, None]
    assert values["city_now__status"] == ["free", "free"]
    assert values["driver_hour__rows"] == city.online("model", {"driver_id": [7, 8]}).to_dict()["driver_hour__rows"]
