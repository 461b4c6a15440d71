"""Training sets: one row out for each row in, with what was known at its time."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import headrace as hr
from headrace.errors import DefinitionError, IncompleteError, ManifestError, SourceError, TimeError, UnknownNameError
from headrace.platform import Platform, lookup
from headrace.testing import steps, value_at
from headrace.types import DAY, SECOND
from tests.integration.pings import FEATURES, NOW, START, project, put, some_rows

ROWS = some_rows(seed=5, days=3, n=300)
END = START + 5 * DAY
MORE = """

@hr.on_demand(inputs=[driver_now], request={"now": hr.RequestTime(), "asked_n": hr.Int64},
              outputs={"seconds": hr.Int64, "above": hr.Bool})
def since_ping(driver_now__n, rows, now, asked_n):
    return {"seconds": now.dt.timestamp("us") // 1_000_000, "above": driver_now__n > asked_n}


with_on_demand = hr.FeatureService("with_on_demand", features=[driver_now["total"], since_ping])
pair = hr.FeatureService("pair", features=[
    driver_now[["n", "rows"]].alias("rider", keys={"driver_id": "rider_id"}), driver_now["n"]])
"""


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    root = tmp_path / "project"
    made = project(root)
    (root / "features.py").write_text(FEATURES + MORE)
    made = Platform.open(root, clock=lambda: NOW)
    made.apply()
    put(made, ROWS)
    made.backfill("driver_now", end=END)
    return made


def some_labels(n: int = 200) -> pl.DataFrame:
    rng = random.Random(0)
    times = [START + rng.randrange(5 * DAY // SECOND) * SECOND + rng.choice([0, 0, 1]) for _ in range(n)]
    return pl.DataFrame({"driver_id": [rng.randrange(7) for _ in range(n)], "label_time": times, "y": range(n)}).cast(
        {"label_time": pl.Datetime("us", "UTC")}
    )


def test_every_value_is_that_of_the_step_in_force(platform: Platform) -> None:
    labels = some_labels()
    made = platform.training_set(labels, "model")
    assert made.select(labels.columns).equals(labels)
    view = platform.definitions.view("driver_now")
    found = steps(view, ROWS)
    for row in made.iter_rows(named=True):
        wanted = value_at(found, {"driver_id": row["driver_id"]}, row["label_time"]) or {}
        assert row["driver_now__rows"] == wanted.get("rows")
        speed = wanted.get("speed_1h")
        assert row["driver_now__speed_1h"] == (speed if speed is None else pytest.approx(speed, rel=1e-9))
        old = wanted and (row["label_time"] - wanted["event_time"]).total_seconds() > 7200
        assert row["driver_now__n"] == (None if old else wanted.get("n"))


def test_by_ranges_of_entities(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = some_labels()
    whole = platform.training_set(labels, "model")
    monkeypatch.setattr(lookup, "ROWS_AT_MOST", 10)
    monkeypatch.setattr(lookup, "ROWS_A_BATCH", 30)
    assert platform.training_set(labels, "model").equals(whole)


def test_statuses(platform: Platform) -> None:
    made = platform.training_set(some_labels(), "model", statuses=True)
    by_status = dict(made["driver_now__n__status"].value_counts().iter_rows())
    assert set(by_status) == {"PRESENT", "NOT_FOUND", "OUTSIDE_MAX_AGE"}
    assert made.filter(pl.col("driver_id") > 4)["driver_now__rows__status"].unique().to_list() == ["NOT_FOUND"]
    assert "OUTSIDE_MAX_AGE" not in made["driver_now__rows__status"].unique().to_list()


@pytest.mark.parametrize("kind", ["pyarrow", "lazy", "parquet", "csv"])
def test_labels_of_any_kind(platform: Platform, tmp_path: Path, kind: str) -> None:
    labels = some_labels(20)
    wanted = platform.training_set(labels, "model")
    labels.write_parquet(tmp_path / "labels.parquet")
    labels.write_csv(tmp_path / "labels.csv")
    given = {"pyarrow": labels.to_arrow(), "lazy": labels.lazy(), "parquet": tmp_path / "labels.parquet",
             "csv": str(tmp_path / "labels.csv")}[kind]  # fmt: skip
    made = platform.training_set(given, "model")
    assert type(made) is type(given) if kind == "pyarrow" else isinstance(made, pl.DataFrame)
    assert_frame_equal(pl.DataFrame(made), wanted)


def test_labels_in_another_zone_ask_for_the_same_instant(platform: Platform) -> None:
    labels = some_labels(20)
    elsewhere = labels.with_columns(pl.col("label_time").dt.convert_time_zone("America/New_York"))
    assert_frame_equal(platform.training_set(elsewhere, "model"), platform.training_set(labels, "model"))


def test_equal_labels_stay_apart_and_null_keys_find_nothing(platform: Platform) -> None:
    moment = datetime(2026, 1, 6, 12, tzinfo=UTC)
    labels = pl.DataFrame({"driver_id": [1, 1, None], "label_time": [moment] * 3, "y": [0, 1, 2]})
    made = platform.training_set(labels, "model")
    assert made["y"].to_list() == [0, 1, 2]
    assert made["driver_now__rows"][0] == made["driver_now__rows"][1] is not None
    assert made["driver_now__rows"][2] is None


def test_no_labels(platform: Platform) -> None:
    made = platform.training_set(some_labels().clear(), "model")
    assert made.shape == (0, 9)
    assert made.schema["driver_now__speed_1h"] == pl.Float64


def test_aliases(platform: Platform) -> None:
    labels = some_labels(50).with_columns(rider_id=pl.lit(3))
    made = platform.training_set(labels, "pair")
    assert made.columns[-3:] == ["rider__n", "rider__rows", "driver_now__n"]
    as_driver = platform.training_set(labels.with_columns(driver_id=pl.lit(3)), "model")
    assert made["rider__rows"].equals(as_driver["driver_now__rows"], check_names=False)


def test_on_demand(platform: Platform) -> None:
    labels = some_labels(50).with_columns(asked_n=pl.lit(9))
    made = platform.training_set(labels, "with_on_demand")
    assert made.columns[-3:] == ["driver_now__total", "since_ping__seconds", "since_ping__above"]
    n = platform.training_set(labels, "model")["driver_now__n"]
    assert made["since_ping__above"].equals((n > 9), check_names=False)
    assert made["since_ping__seconds"].to_list() == [int(t.timestamp()) for t in labels["label_time"]]
    with pytest.raises(UnknownNameError, match="asked_n"):
        platform.training_set(labels.drop("asked_n"), "with_on_demand")


def test_known_now_uses_rows_from_when_they_happened(platform: Platform) -> None:
    labels = some_labels()
    now = platform.training_set(labels, "model", known="now")
    found = steps(platform.definitions.view("driver_now"), ROWS, known="now")
    wanted = [
        (value_at(found, {"driver_id": r["driver_id"]}, r["label_time"]) or {}).get("rows")
        for r in labels.iter_rows(named=True)
    ]
    assert now["driver_now__rows"].to_list() == wanted
    assert not now.equals(platform.training_set(labels, "model"))


def test_labels_outside_of_what_is_complete(platform: Platform) -> None:
    labels = some_labels(4).with_columns(pl.col("label_time") + pl.duration(days=pl.col("y") // 2 * 9))
    with pytest.raises(IncompleteError, match="2 of 4 times lie outside"):
        platform.training_set(labels, "model")
    made = platform.training_set(labels, "model", on_incomplete="null", statuses=True)
    assert made["driver_now__rows"][2:].to_list() == [None, None]
    assert made["driver_now__rows__status"][2:].to_list() == ["INCOMPLETE", "INCOMPLETE"]


def test_bad_labels(platform: Platform, tmp_path: Path) -> None:
    labels = some_labels(3)
    with pytest.raises(TimeError, match="no time zone"):
        platform.training_set(labels.with_columns(pl.col("label_time").dt.replace_time_zone(None)), "model")
    with pytest.raises(TimeError, match="Datetime with a time zone is needed"):
        platform.training_set(labels.with_columns(pl.col("label_time").dt.date()), "model")
    with pytest.raises(TimeError, match="null in 3 of 3"):
        platform.training_set(labels.with_columns(pl.lit(None, pl.Datetime("us", "UTC")).alias("label_time")), "model")
    with pytest.raises(UnknownNameError, match="Did you mean 'driver_idd'"):
        platform.training_set(labels.rename({"driver_id": "driver_idd"}), "model")
    with pytest.raises(UnknownNameError, match="'labeltime'"):
        platform.training_set(labels, "model", "labeltime")
    with pytest.raises(DefinitionError, match="driver_id' is String"):
        platform.training_set(labels.with_columns(pl.col("driver_id").cast(pl.String)), "model")
    with pytest.raises(DefinitionError, match="is there already"):
        platform.training_set(labels.with_columns(driver_now__n=pl.lit(1)), "model")
    with pytest.raises(SourceError, match="no file"):
        platform.training_set(tmp_path / "nothing.parquet", "model")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(SourceError, match="can't be read"):
        platform.training_set(tmp_path / "torn.parquet", "model")


def test_rebuilt_to_the_byte_after_everything_changed(platform: Platform, tmp_path: Path) -> None:
    labels = some_labels().with_columns(asked_n=pl.lit(9))
    for service in ("model", "with_on_demand"):
        platform.training_set(labels, service, to=tmp_path / service)
    put(platform, some_rows(seed=6, days=3, n=100))
    platform.backfill("driver_now")
    platform.optimize()
    for service in ("model", "with_on_demand"):
        platform.rebuild(tmp_path / service, tmp_path / f"{service}-again")
        one, other = (tmp_path / name / "training_set.parquet" for name in (service, f"{service}-again"))
        assert one.read_bytes() == other.read_bytes()
    assert not platform.training_set(labels, "model").equals(pl.read_parquet(tmp_path / "model/training_set.parquet"))


def test_a_manifest_that_no_longer_holds(platform: Platform, tmp_path: Path) -> None:
    platform.training_set(some_labels(), "model", to=tmp_path / "set")
    with pytest.raises(ManifestError, match="no manifest"):
        platform.rebuild(tmp_path / "other", tmp_path / "again")
    some_labels(5).write_parquet(tmp_path / "set" / "labels.parquet")
    with pytest.raises(ManifestError, match="is not the file"):
        platform.rebuild(tmp_path / "set", tmp_path / "again")
    root = platform.context.root
    (root / "features.py").write_text(FEATURES.replace('hr.last("n")', 'hr.first("n")'))
    with pytest.raises(ManifestError, match="view:driver_now changed"):
        Platform.open(root).rebuild(tmp_path / "set", tmp_path / "again")


def test_history_and_snapshot(platform: Platform) -> None:
    found = platform.history("driver_now", {"driver_id": 2}, "2026-01-06", "2026-01-07")
    assert found["valid_from"].is_sorted()
    assert found["valid_from"].dt.date().unique().to_list() == [datetime(2026, 1, 6, tzinfo=UTC).date()]
    with pytest.raises(UnknownNameError, match="Did you mean 'driver_id'"):
        platform.history("driver_now", {"driver": 2})
    everyone = platform.snapshot("model", "2026-01-07")
    assert everyone["driver_id"].to_list() == [0, 1, 2, 3, 4]
    one = platform.snapshot("model", "2026-01-07", pl.DataFrame({"driver_id": [3]}))
    assert_frame_equal(one, everyone.filter(pl.col("driver_id") == 3))
    with pytest.raises(DefinitionError, match="Pass entities="):
        platform.snapshot("pair", "2026-01-07")


def test_a_service_made_on_the_spot(platform: Platform) -> None:
    view = platform.definitions.view("driver_now")
    service = hr.FeatureService("adhoc", features=[view["rows"]])
    assert platform.training_set(some_labels(3), service).columns[-1] == "driver_now__rows"
