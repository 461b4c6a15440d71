"""Comparing a project whose commands were killed with one whose commands were not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import polars.selectors as cs

from benchmarks.killing.wholeness import ORIGIN, Wholeness

_OF_THE_RUN = ("_hr_arrived", "_hr_batch", "_hr_day")
"""Columns that depend on when and with what neighbours a row came."""
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """How a table differs from the one that it should be.

    Parameters
    ----------
    table : str
        Its name, as ``silver/pings``.
    rows : int
        How many it should have.
    lost, doubled, changed : int
        Rows that are missing; that are there too often, or should not be there; whose values differ.
    """

    table: str
    rows: int
    lost: int
    doubled: int
    changed: int


def differences(killed: Path, clean: Path) -> list[Difference]:
    """Compare table by table."""
    found, wanted = _tables(killed), _tables(clean)
    nothing = pl.DataFrame()
    return [difference(name, found.get(name, nothing), wanted.get(name, nothing)) for name in sorted({*found, *wanted})]


def _tables(root: Path) -> dict[str, pl.DataFrame]:
    wholeness = Wholeness(root)
    return {name: table.scan(wholeness.version(name)).collect() for name, table in wholeness.tables().items()}


def difference(name: str, found: pl.DataFrame, wanted: pl.DataFrame) -> Difference:
    """How the rows of a table differ from those that it should have; its key is where they came from, or a step's."""
    if not wanted.height or not found.height:
        return Difference(name, wanted.height, wanted.height, found.height, 0)
    keys = list(ORIGIN) if ORIGIN[0] in wanted.columns else _step_keys(wanted)
    once = found.unique(keys)
    lost = wanted.join(once, on=keys, how="anti", nulls_equal=True).height
    extra = once.join(wanted, on=keys, how="anti", nulls_equal=True).height
    return Difference(name, wanted.height, lost, found.height - once.height + extra, _changed(once, wanted, keys))


def _step_keys(steps: pl.DataFrame) -> list[str]:
    """The columns before the first of ours: the entity's keys and ``valid_from``."""
    return steps.columns[: steps.columns.index("valid_from") + 1]


def _changed(found: pl.DataFrame, wanted: pl.DataFrame, keys: list[str]) -> int:
    values = [name for name in wanted.columns if name not in (*keys, *_OF_THE_RUN)]
    both = wanted.join(found.select(*keys, *values), on=keys, how="inner", nulls_equal=True)
    floats = set(wanted.select(cs.float()).columns)
    return both.filter(pl.any_horizontal(_differs(name, name in floats) for name in values)).height if values else 0


def _differs(name: str, is_float: bool) -> pl.Expr:
    one, other = pl.col(name), pl.col(f"{name}_right")
    if is_float:
        return one.is_null().ne(other.is_null()) | ((one - other).abs() > _TOLERANCE * one.abs()).fill_null(value=False)
    return one.ne_missing(other)
