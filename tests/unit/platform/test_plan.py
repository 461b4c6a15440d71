"""What a plan says, and that applying does exactly that."""

from __future__ import annotations

from pathlib import Path

import pytest

from headrace.errors import RegistryError, TransformError, UnknownNameError
from headrace.platform import Platform
from headrace.platform.plan import Backfill, Difference
from headrace.types import DAY
from tests.integration.pings import FEATURES, SETTINGS, put, some_rows

NOW = 1_800_000_000_000_000


def project(root: Path, features: str = FEATURES) -> Platform:
    (root / "headrace.toml").write_text(SETTINGS)
    (root / "features.py").write_text(features)
    return Platform.open(root, clock=lambda: NOW)


def changed(root: Path, before: str, after: str) -> Platform:
    assert FEATURES.count(before) == 1
    return project(root, FEATURES.replace(before, after))


def names(platform: Platform, action: str) -> list[str]:
    return [f"{change.kind} {change.name}" for change in platform.plan().of(action)]  # type: ignore[arg-type]


ALL = ["entity driver", "source pings", "view driver_now", "service model"]


def test_everything_is_created_first(tmp_path: Path) -> None:
    platform = project(tmp_path)
    assert names(platform, "created") == ALL
    assert not (tmp_path / "registry.db").exists()
    assert platform.plan().of("created", "view")[0].backfill == Backfill(0, 0, 0)


def test_applying_does_what_the_plan_said_and_then_nothing(tmp_path: Path) -> None:
    platform = project(tmp_path)
    planned = platform.plan()
    assert platform.apply() == planned
    assert platform.plan().is_empty
    assert names(platform, "unchanged") == ALL
    assert platform.apply().is_empty
    applied = platform.context.registry.current()
    assert applied is not None
    assert (applied.number, applied.at) == (1, NOW)


def test_a_changed_window_is_told_by_field(tmp_path: Path) -> None:
    project(tmp_path).apply()
    plan = changed(tmp_path, 'hop="5m"', 'hop="10m"').plan()
    (change,) = plan.of("changed")
    assert (change.kind, change.name) == ("view", "driver_now")
    assert change.differences == (Difference("features.speed_1h.window.hop", "5m", "10m"),)
    assert change.backfill is not None
    assert len(plan.of("unchanged")) == 3


def test_a_changed_aggregation_is_told_as_a_whole(tmp_path: Path) -> None:
    project(tmp_path).apply()
    (change,) = changed(tmp_path, 'hr.sum("n")', 'hr.max("n")').plan().of("changed")
    assert change.differences == (Difference("features.total", {"sum": "n"}, {"max": "n"}),)
    assert str(change.differences[0]) == 'features.total: {"sum": "n"} → {"max": "n"}'


def test_a_new_feature_and_a_lost_one(tmp_path: Path) -> None:
    project(tmp_path).apply()
    (change,) = changed(tmp_path, '"total": hr.sum("n")', '"sum_n": hr.sum("n")').plan().of("changed")
    assert change.differences == (
        Difference("features.total", {"sum": "n"}, None),
        Difference("features.sum_n", None, {"sum": "n"}),
    )


def test_what_is_read_differently_needs_no_backfill(tmp_path: Path) -> None:
    project(tmp_path).apply()
    (change,) = changed(tmp_path, 'ttl="2h"', 'ttl="3h"').plan().of("changed")
    assert change.differences == (Difference("ttl", "2h", "3h"),)
    assert change.backfill is None


def test_a_changed_source_restates_the_views_on_it(tmp_path: Path) -> None:
    project(tmp_path).apply()
    plan = changed(tmp_path, 'event_time="ts"', 'event_time="ts", known_after="1h"').plan()
    source, view = plan.of("changed")
    assert source.differences == (Difference("known_after", None, "1h"),)
    assert view.name == "driver_now"
    assert view.differences[0].field == "what it refers to, or the text of its function"
    assert view.backfill is not None


def test_what_is_gone_is_removed(tmp_path: Path) -> None:
    project(tmp_path).apply()
    platform = changed(tmp_path, 'model = hr.FeatureService("model", features=[driver_now])\n', "")
    assert names(platform, "removed") == ["service model"]
    platform.apply()
    assert platform.plan().is_empty


def test_a_backfill_is_counted_from_silver(tmp_path: Path) -> None:
    platform = project(tmp_path)
    put(platform, some_rows(seed=1, days=3, n=300))
    (change,) = platform.plan().of("created", "view")
    files = platform.context.lake.table("silver", "pings").files()
    days = {file.partition["_hr_day"] for file in files}
    assert change.backfill == Backfill(len(days), 300, sum(file.size_bytes for file in files))
    assert str(change.backfill) == f"new definition, {len(days)} partitions to backfill from 300 rows of silver"


TRANSFORM = """
import narwhals as nw
@hr.transform
def made(rows):
    return {body}
"""


def with_transform(root: Path, body: str, feature: str = 'hr.last("n")') -> Platform:
    features = FEATURES.replace("driver_now = hr.Feature", f"{TRANSFORM.format(body=body)}\ndriver_now = hr.Feature")
    features = features.replace('ttl="2h",', 'ttl="2h", transform=made,').replace('hr.last("n")', feature)
    return project(root, features)


def test_a_row_wise_transform_is_applied(tmp_path: Path) -> None:
    platform = with_transform(tmp_path, 'rows.with_columns(twice=nw.col("n") * 2)', 'hr.last("twice")')
    assert len(platform.apply().of("created")) == 4


def test_an_edited_transform_is_a_change(tmp_path: Path) -> None:
    with_transform(tmp_path, 'rows.with_columns(twice=nw.col("n") * 2)').apply()
    platform = with_transform(tmp_path, 'rows.with_columns(twice=nw.col("n") * 3)')
    assert names(platform, "changed") == ["view driver_now"]


def test_a_transform_that_looks_at_other_rows_is_refused_and_nothing_applied(tmp_path: Path) -> None:
    platform = with_transform(tmp_path, 'rows.with_columns(n=nw.col("n") - nw.col("n").min())')
    with pytest.raises(TransformError, match=r"view 'driver_now', transform features.made: it is not row-wise"):
        platform.apply()
    assert platform.context.registry.current() is None


def test_a_column_that_the_transform_does_not_make_is_refused(tmp_path: Path) -> None:
    platform = with_transform(tmp_path, 'rows.with_columns(twice=nw.col("n") * 2)', 'hr.last("twise")')
    with pytest.raises(UnknownNameError, match=r"feature 'n': there is no column 'twise'. Did you mean 'twice'"):
        platform.apply()


PARSING = 'rows.with_columns(number=nw.col("ping_id").str.split("-").list.get(1).cast(nw.Int64))'


def test_what_fails_on_made_up_rows_asks_for_real_ones(tmp_path: Path) -> None:
    platform = with_transform(tmp_path, PARSING, 'hr.last("number")')
    with pytest.raises(TransformError, match=r"This was on made-up rows, as silver has none: .* or ingest first"):
        platform.apply()
    put(platform, some_rows(seed=1, days=1, n=50))
    assert len(platform.apply().of("created")) == 4


def test_real_rows_are_tried_too(tmp_path: Path) -> None:
    platform = with_transform(tmp_path, 'rows.filter((nw.col("speed") < 1e9) | (nw.len() < 20))')
    put(platform, some_rows(seed=1, days=1, n=100))
    with pytest.raises(TransformError, match="it is not row-wise"):
        platform.apply()


def test_a_damaged_registry_is_named(tmp_path: Path) -> None:
    platform = project(tmp_path)
    (tmp_path / "registry.db").write_text("no registry" * 100)
    with pytest.raises(RegistryError, match=r"registry.db"):
        platform.plan()


def test_a_day_is_one_partition() -> None:
    assert str(Backfill(1, DAY, 5)).startswith("new definition, 1 partition to backfill from 86,400,000,000 rows")
