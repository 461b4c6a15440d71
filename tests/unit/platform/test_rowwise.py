"""A transform must make of a row the same, whatever rows are around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import narwhals as nw
import polars as pl
import pytest

import headrace as hr
from headrace.definitions.sources import EventSource
from headrace.definitions.transforms import Transform
from headrace.definitions.views import FeatureView
from headrace.errors import TransformError
from headrace.platform.rowwise import check_row_wise
from headrace.platform.samples import made_up_rows

SOURCE = hr.EventSource(
    "pings",
    schema={"id": hr.String, "ts": hr.Timestamp, "n": hr.Int64, "speed": hr.Float64, "path": hr.List(hr.Int64)},
    event_time="ts",
    dedupe_on="id",
)
SAMPLE = made_up_rows(SOURCE, 25)

Function = Callable[[Any], Any]


def view_with(function: Function) -> FeatureView:
    return hr.FeatureView(
        "v", entity=None, source=SOURCE, transform=Transform(function, path="features.made"), features={"n": hr.count()}
    )


ROW_WISE: dict[str, Function] = {
    "nothing": lambda rows: rows,
    "a filter": lambda rows: rows.filter(nw.col("speed") > 3),
    "a filter that keeps nothing": lambda rows: rows.filter(nw.col("speed") > 1e9),
    "a derived column": lambda rows: rows.with_columns(kmh=nw.col("speed") * 3.6, day=nw.col("ts").dt.date()),
    "a dropped column": lambda rows: rows.drop("speed"),
    "an explosion": lambda rows: rows.explode("path"),
    "another order": lambda rows: rows.sort("n", "id", descending=True),
    "a chosen column": lambda rows: rows.select(nw.col("n") + 1, *[c for c in rows.columns if c.startswith("_hr_")]),
    "a horizontal mean": lambda rows: rows.with_columns(both=nw.mean_horizontal("n", "speed")),
}


@pytest.mark.parametrize("case", ROW_WISE)
def test_what_is_row_wise_passes(case: str) -> None:
    columns = check_row_wise(view_with(ROW_WISE[case]), SAMPLE)
    assert "n" in columns
    assert not any(name.startswith("_hr_") for name in columns)


def test_the_columns_it_makes_are_told() -> None:
    columns = check_row_wise(view_with(ROW_WISE["a derived column"]), SAMPLE)
    assert columns == {**SOURCE.schema, "kmh": hr.Float64, "day": hr.Date}


def by_two(rows: Any) -> Any:
    return rows.with_row_index("place").filter(nw.col("place") % 2 == 0).drop("place")


NOT_ROW_WISE: dict[str, tuple[Function, str]] = {
    "a mean": (lambda rows: rows.with_columns(nw.col("speed") - nw.col("speed").mean()), "portions"),
    "a mean of a group": (lambda rows: rows.with_columns(m=nw.col("speed").mean().over("n")), "portions"),
    "a rank": (lambda rows: rows.with_columns(r=nw.col("speed").rank("ordinal")), "order|portions"),
    "the row before": (lambda rows: rows.with_columns(b=nw.col("n").shift(1)), "order"),
    "a running sum": (lambda rows: rows.with_columns(b=nw.col("n").cum_sum()), "order"),
    "the first rows": (lambda rows: rows.head(10), "order"),
    "every other row": (by_two, "order"),
    "unique rows": (lambda rows: rows.unique(["n"]), "order|again|portions"),
    "the greatest": (lambda rows: rows.filter(nw.col("n") == nw.col("n").max()), "portions|row by row"),
    "a count": (lambda rows: rows.with_columns(c=nw.len()), "portions"),
    "a condition on all rows": (lambda rows: rows.head(0) if len(rows) < 8 else rows, "portions|row by row"),
}


@pytest.mark.parametrize("case", NOT_ROW_WISE)
def test_what_looks_at_other_rows_is_refused_with_a_row(case: str) -> None:
    function, check = NOT_ROW_WISE[case]
    with pytest.raises(TransformError, match=f"it is not row-wise: .*({check}).*, the row {{.*}} became") as caught:
        check_row_wise(view_with(function), SAMPLE)
    assert str(caught.value).startswith("view 'v', transform features.made: ")
    assert "use a feature's window instead" in str(caught.value)


def test_the_row_shown_is_the_least_and_what_became_of_it() -> None:
    sample = pl.DataFrame({"n": [1, 5]}, schema={"n": pl.Int64})
    with pytest.raises(TransformError, match=r"in another order|in reverse order") as caught:
        check_row_wise(view_with(lambda rows: rows.with_columns(b=nw.col("n").cum_sum())), sample)
    assert "the row {'n': 1} became (b=6, n=1), but (b=1, n=1) in the whole sample of 2 rows" in str(caught.value)


def test_chance_is_refused() -> None:
    turn = iter(range(1000))
    with pytest.raises(TransformError, match="it is not row-wise: when it was run again"):
        check_row_wise(view_with(lambda rows: rows.with_columns(r=nw.lit(next(turn)))), SAMPLE)


def test_a_type_that_depends_on_values_is_refused() -> None:
    def cast(rows: Any) -> Any:
        return rows.with_columns(nw.col("n").cast(nw.Int32)) if len(rows) < 5 else rows

    with pytest.raises(TransformError, match=r"other columns or types .* \(n\).*types may not depend on values"):
        check_row_wise(view_with(cast), SAMPLE)


def test_a_selection_that_loses_headraces_columns_is_refused() -> None:
    with pytest.raises(TransformError, match=r"dropped _hr_row_id.*Use with_columns, filter"):
        check_row_wise(view_with(lambda rows: rows.select("n", "ts")), SAMPLE)


@pytest.mark.parametrize("result", [5, None, [1], {"n": [1]}], ids=repr)
def test_what_is_no_frame_is_refused(result: object) -> None:
    with pytest.raises(TransformError, match=type(result).__name__):
        check_row_wise(view_with(lambda rows: result), SAMPLE)


def test_an_error_inside_is_named_with_its_function() -> None:
    with pytest.raises(TransformError, match=r"view 'v', transform features.made: .*spede"):
        check_row_wise(view_with(lambda rows: rows.filter(nw.col("spede") > 3)), SAMPLE)


def test_a_type_without_name_is_refused() -> None:
    with pytest.raises(TransformError, match="column 'd': there is no headrace type for Polars' Duration"):
        check_row_wise(view_with(lambda rows: rows.with_columns(d=nw.col("ts") - nw.col("ts"))), SAMPLE)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TransformError, match="column 'ts': a time without a zone"):
        check_row_wise(view_with(lambda rows: rows.with_columns(nw.col("ts").dt.replace_time_zone(None))), SAMPLE)


def test_no_rows_are_a_sample_too() -> None:
    assert set(check_row_wise(view_with(lambda rows: rows), SAMPLE.clear())) == set(SOURCE.schema)


def everything() -> EventSource:
    plain = (hr.Bool, hr.Int8, hr.UInt32, hr.Float32, hr.String, hr.Binary, hr.Date, hr.Decimal(5, 2))
    schema = {f"c{i}": dtype for i, dtype in enumerate((*plain, hr.Vector(hr.Float32, 3), hr.List(hr.String)))}
    checks = [hr.check.between("speed", 20, 30), hr.check.is_in("word", ["x", "y"]), hr.check.not_null("c4")]
    columns = {"ts": hr.Timestamp, "speed": hr.Int64, "word": hr.String, **schema}
    return hr.EventSource("all", schema=columns, event_time="ts", contract=checks, required="c0")


def test_made_up_rows_follow_the_schema_and_the_contract() -> None:
    rows = made_up_rows(everything(), 200, seed=3)
    assert len(rows) == 400
    assert rows.equals(made_up_rows(everything(), 200, seed=3))
    assert not rows.equals(made_up_rows(everything(), 200, seed=4))
    assert rows["speed"].is_between(20, 30).all()
    assert set(rows["word"].drop_nulls()) == {"x", "y"}
    assert [rows[name].null_count() for name in ("ts", "c0", "c4")] == [0, 0, 0]
    assert all(0 < rows[name].null_count() < 100 for name in ("speed", "word", "c1", "c8", "c9"))
