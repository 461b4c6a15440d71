"""The times at which values are compared."""

from __future__ import annotations

import numpy as np
import polars as pl

from headrace.platform.verify_sampling import Changes, Sampling
from headrace.timeline.coverage import Coverage

COVERAGE = Coverage(((0, 1_000), (2_000, 3_000)))
ENTITIES = pl.DataFrame({"driver_id": [7, 8]})
CHANGES = Changes(np.array([0, 0, 0, 0, 1]), np.array([500, 2_500, 3_100, 90_000, 100]))


def sampling(online_from: int | None, times: int = 60) -> Sampling:
    return Sampling(COVERAGE, online_from, 10_000, times, np.random.default_rng(1))


def test_times_are_covered_and_each_one_is_there_once() -> None:
    points = sampling(None).points(ENTITIES, CHANGES)
    assert COVERAGE.contains(points.time).all()
    assert len(np.unique(np.column_stack([points.entity, points.time]), axis=0)) == len(points)
    assert np.bincount(points.entity).min() > 50
    assert ((points.time >= 0) & (points.time < 1_000)).mean() > 0.3, "both parts of the coverage"


def test_each_change_is_asked_around() -> None:
    points = sampling(None).points(ENTITIES, CHANGES)
    one = set(points.time[points.entity == 0].tolist())
    assert {499, 500, 501, 2_499, 2_500, 2_501} <= one
    assert {99, 100, 101} <= set(points.time[points.entity == 1].tolist())


def test_the_store_is_asked_from_where_it_answers_to_the_last_scheduled_step() -> None:
    points = sampling(2_900).points(ENTITIES, CHANGES)
    later = points.time[points.time >= 3_000]
    assert {3_099, 3_100, 3_101, 89_999, 90_000, 90_001} <= set(later.tolist())
    assert 10 < len(later) < 50


def test_changes_are_chosen_at_random_and_at_most_so_many_for_each() -> None:
    many = Changes(np.repeat([0, 1, 2], [1_000, 3, 0]), np.concatenate([np.arange(1_000), np.arange(3)]))
    some = many.some(3, 10, np.random.default_rng(2))
    assert np.bincount(some.entity, minlength=3).tolist() == [10, 3, 0]
    assert len(set(some.time[some.entity == 0].tolist())) == 10


def test_a_global_view_is_one_entity() -> None:
    points = sampling(None, 30).points(pl.DataFrame(), Changes(np.zeros(1, dtype=np.int64), np.array([10])))
    assert set(points.entity.tolist()) == {0}
    assert points.question.keys.columns == []
