"""The labels can be learnt from what was known, and a leaking join only seems to learn them better."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from data_platform.simulator import City, FaultShares

SLOT_US = 300_000_000
DAYS = 3


@pytest.fixture(scope="module")
def city() -> City:
    return City(seed=7, drivers=500, ping_interval_s=30, faults=FaultShares.none())


@pytest.fixture(scope="module")
def rides(city: City) -> pl.DataFrame:
    return pl.concat([city.true_rides(day) for day in range(-1, DAYS)]).with_columns(
        driver_id="offered_driver_id",
        wait_s=(pl.coalesce("picked_up_at", "cancelled_at") - pl.col("requested_at")) / 1e6,
        ended_at=pl.coalesce("picked_up_at", "cancelled_at"),
    )


def _as_of(labels: pl.DataFrame, rows: pl.DataFrame, by: str, *, inclusive: bool = False) -> pl.DataFrame:
    return labels.join_asof(rows.sort("at"), on="at", by=by, allow_exact_matches=inclusive, check_sortedness=False)


@pytest.fixture(scope="module")
def examples(city: City, rides: pl.DataFrame) -> pl.DataFrame:
    labels = pl.concat([city.labels(day).with_columns(day=day) for day in range(DAYS)])
    labels = labels.with_columns(at=pl.col("label_time").dt.epoch("us")).sort("at")
    pings = pl.concat([city.pings(day) for day in range(DAYS)]).sort("driver_id", "received_at")
    speed = pings.select(
        "driver_id",
        at=pl.col("received_at").dt.epoch("us"),
        speed=pl.col("speed_mps").rolling_mean(10, min_samples=1).over("driver_id"),
    )
    picked_up = rides.drop_nulls("picked_up_at").with_columns(at=(pl.col("picked_up_at") // SLOT_US + 1) * SLOT_US)
    city_wait = picked_up.group_by("city", "at").agg(city_wait=pl.col("wait_s").mean())
    rating = (
        rides.drop_nulls("rating")
        .sort("rated_at")
        .select(
            "driver_id",
            at="rated_at",
            rating=(pl.col("rating").cum_sum() / pl.int_range(1, pl.len() + 1)).over("driver_id"),
        )
    )
    known = _as_of(_as_of(_as_of(labels, speed, "driver_id"), city_wait, "city", inclusive=True), rating, "driver_id")
    last_wait = rides.select("driver_id", at="ended_at", last_wait="wait_s")
    own_wait = rides.select("driver_id", at="requested_at", leaked_wait="wait_s")
    return _as_of(_as_of(known, last_wait, "driver_id"), own_wait, "driver_id", inclusive=True)


def _fit(examples: pl.DataFrame, columns: list[str], served: list[str]) -> tuple[float, float]:
    """Return the area under the ROC curve on the training days, and on the last day with served values."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    metrics = pytest.importorskip("sklearn.metrics")
    train, test = examples.filter(pl.col("day") < DAYS - 1), examples.filter(pl.col("day") == DAYS - 1)

    def matrix(frame: pl.DataFrame, names: list[str]) -> NDArray[np.float64]:
        return frame.select(pl.col(names).cast(pl.Float64).fill_null(float("nan"))).to_numpy()

    model = ensemble.HistGradientBoostingClassifier(max_iter=60, max_depth=4, random_state=0)
    model.fit(matrix(train, columns), train["target"].to_numpy())
    return tuple(
        metrics.roc_auc_score(frame["target"], model.predict_proba(matrix(frame, names))[:, 1])
        for frame, names in ((train, columns), (test, served))
    )


def test_labels_are_one_row_a_request_and_neither_rare_nor_common(city: City, rides: pl.DataFrame) -> None:
    labels = city.labels(0)
    assert labels["label_time"].dtype == pl.Datetime("us", "UTC")
    assert labels["label_time"].is_sorted()
    assert labels["ride_id"].is_unique().all()
    offered = rides.filter(pl.col("ride_id").is_in(city.true_rides(0)["ride_id"].to_list()))
    assert len(labels) == offered["deleted_at"].null_count() < len(offered)
    assert 0.2 < labels["target"].sum() / len(labels) < 0.5


@pytest.mark.thorough
def test_what_was_known_predicts_the_next_day(examples: pl.DataFrame) -> None:
    columns = ["speed", "city_wait", "rating"]
    _, next_day = _fit(examples, columns, columns)
    assert next_day > 0.76
    for column in columns:
        assert _fit(examples, [column], [column])[1] > 0.57


def test_a_leaking_join_looks_better_in_training_and_is_worse_when_served(examples: pl.DataFrame) -> None:
    known = ["speed", "city_wait", "rating"]
    honest_train, honest_served = _fit(examples, [*known, "last_wait"], [*known, "last_wait"])
    leaking_train, leaking_served = _fit(examples, [*known, "leaked_wait"], [*known, "last_wait"])
    assert leaking_train > 0.97 > honest_train
    assert leaking_served < honest_served - 0.06


def test_waits_grow_with_the_citys_pressure(rides: pl.DataFrame) -> None:
    crowd = rides.filter(pl.col("picked_up_at").is_not_null()).with_columns(slot=pl.col("requested_at") // SLOT_US)
    slots = crowd.group_by("city", "slot").agg(pl.col("wait_s").mean(), pl.len()).filter(pl.col("len") >= 3)
    following = slots.with_columns(slot=pl.col("slot") + 1)
    pairs = slots.join(following, on=["city", "slot"])
    assert pairs.select(pl.corr("wait_s", "wait_s_right")).item() > 0.25
