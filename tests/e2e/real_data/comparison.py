"""Comparing a training set with the reference, feature by feature."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from headrace.definitions.aggregations import Aggregation
from headrace.definitions.services import FeatureService
from headrace.definitions.views import Selection
from tests.e2e.real_data.reference import Reference

RELATIVE = 1e-9
SKETCH_DEVIATIONS = 5
COLLISIONS = 3
"""Of a few dozen values, so many may share registers."""
_MERGED = ("mean", "variance", "stddev")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A value that is not what it should be."""

    feature: str
    label: int
    found: object
    expected: object


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many values were compared, of which how many were none, and those that differ."""

    values: int
    nulls: int
    mismatches: list[Mismatch]


def compare(service: FeatureService, found: pl.DataFrame, reference: Reference) -> Comparison:
    """Compare every value of a training set, and which labels' entities were found.

    Parameters
    ----------
    service : FeatureService
        What was asked for.
    found : polars.DataFrame
        The training set with statuses, ordered by ``label``.
    reference : Reference
        Has a table named like each view, or its alias, with the labels whose entities are known.
    """
    values = nulls = 0
    mismatches: list[Mismatch] = []
    for chosen in service.selections:
        table = reference.table(chosen.name)
        expected = found.select("label").join(table, on="label", how="left", maintain_order="left")
        known = found["label"].is_in(table["label"].implode())
        for feature, column in chosen.columns.items():
            is_found = found[f"{column}__status"].cast(pl.String) != "NOT_FOUND"
            wrong = _differs(chosen.view.features[feature], found[column], expected[feature]) | (known != is_found)
            values, nulls = values + len(found), nulls + found[column].null_count()
            mismatches += _told(chosen, feature, found.filter(wrong), expected.filter(wrong))
    return Comparison(values, nulls, mismatches)


def _differs(feature: Aggregation, found: pl.Series, expected: pl.Series) -> pl.Series:
    """Which values are further apart than the feature promises."""
    same = found.eq_missing(expected.cast(found.dtype))
    if found.dtype.is_nested() or not found.dtype.is_numeric():
        return ~same
    found, expected = found.cast(pl.Float64), expected.cast(pl.Float64)
    near = ((found - expected).abs() <= _allowed(feature, expected)).fill_null(value=False)
    return ~(same | near)


def _allowed(feature: Aggregation, expected: pl.Series) -> pl.Series:
    size = expected.abs()
    if feature.function == "quantile":
        return size * ((feature.error or 0.0) + RELATIVE)
    if feature.function == "approx_count_distinct":
        return size * (feature.error or 0.0) * SKETCH_DEVIATIONS + COLLISIONS
    return size.clip(1, None) * RELATIVE if feature.function in _MERGED else size * 0.0


def _told(chosen: Selection, feature: str, found: pl.DataFrame, expected: pl.DataFrame) -> list[Mismatch]:
    name = chosen.columns[feature]
    rows = zip(found["label"], found[name], expected[feature], strict=True)
    return [Mismatch(name, *row) for row in rows]
