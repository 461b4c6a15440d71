"""Which copy stays does not depend on how rows are split into batches."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from headrace.quality.base import AVAILABLE, KNOWN, UTC
from headrace.quality.dedupe import against, without_copies

WITHIN = 1_000
IDENTITY = ("id",)

rows = st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 400))), min_size=1, max_size=14)


def framed(items: list[tuple[int, int | None]]) -> pl.DataFrame:
    frame = pl.DataFrame(
        {"id": [i for i, _ in items], AVAILABLE: [a for _, a in items], "place": list(range(len(items)))},
        schema={"id": pl.Int64, AVAILABLE: pl.Int64, "place": pl.Int64},
    ).with_columns(pl.col(AVAILABLE).cast(UTC))
    return frame.with_columns(pl.coalesce(AVAILABLE, pl.lit(500).cast(UTC)).alias(KNOWN))


def best(items: list[tuple[int, int | None]]) -> set[int]:
    """For each id the measured copy that is earliest; else the first."""
    chosen: dict[int, int] = {}
    for place, (who, when) in enumerate(items):
        if who not in chosen:
            chosen[who] = place
            continue
        old = items[chosen[who]][1]
        if when is not None and (old is None or when < old):
            chosen[who] = place
    return set(chosen.values())


@given(rows)
def test_within_a_batch(items: list[tuple[int, int | None]]) -> None:
    assert set(without_copies(framed(items), IDENTITY, WITHIN)["place"]) == best(items)


@given(rows, st.integers(0, 14))
def test_in_two_batches(items: list[tuple[int, int | None]], cut: int) -> None:
    frame = framed(items)
    there = without_copies(frame.head(cut), IDENTITY, WITHIN)
    fresh = without_copies(frame.slice(cut), IDENTITY, WITHIN)
    result = against(fresh, there, IDENTITY, WITHIN)
    stays = set(there["place"]) - set(result.beaten["place"])
    assert stays | set(result.kept["place"]) == best(items)
