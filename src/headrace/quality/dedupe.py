"""Copies of a row: which one stays, within a batch and against what is in silver already.

Two rows of one identity are copies if they were known within ``dedupe_within`` of each other. The
one with a measured time of being known stays, then the earliest such time, then the one that came
first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from headrace.quality.base import AVAILABLE, KNOWN

_PLACE = "_hr_place"


@dataclass(frozen=True, slots=True)
class Against:
    """The outcome of comparing a batch with what is there.

    Attributes
    ----------
    kept : polars.DataFrame
        The rows of the batch that stay.
    beaten : polars.DataFrame
        The rows that were there and must go, in the columns that they were given with.
    """

    kept: pl.DataFrame
    beaten: pl.DataFrame


def without_copies(frame: pl.DataFrame, identity: tuple[str, ...], within_us: int) -> pl.DataFrame:
    """The rows of a batch without copies of each other, in their order.

    Parameters
    ----------
    frame : polars.DataFrame
        Rows with `identity`, `KNOWN` and `AVAILABLE`.
    identity : tuple of str
        The columns that tell rows apart; where it is empty nothing is a copy.
    within_us : int
        How far apart copies may be known, in microseconds.
    """
    if not identity or not _any_twice(frame, identity):
        return frame
    twice = frame.select(pl.struct(identity).is_duplicated()).to_series()
    numbered = frame.select(*identity, KNOWN, AVAILABLE).with_row_index(_PLACE).filter(twice)
    lost = pl.concat(_rounds(numbered.sort(_order()), identity, timedelta(microseconds=within_us)))
    keep = pl.Series([True]).new_from_index(0, frame.height).scatter(lost, values=False)
    return frame.filter(keep)


def against(frame: pl.DataFrame, there: pl.DataFrame, identity: tuple[str, ...], within_us: int) -> Against:
    """Compare a batch with rows that are there already.

    Parameters
    ----------
    frame : polars.DataFrame
        The batch, without copies of its own.
    there : polars.DataFrame
        The rows there, with `identity`, `KNOWN`, `AVAILABLE` and what tells them apart.
    identity, within_us
        As in `without_copies`.
    """
    if not there.height or not frame.height:
        return Against(frame, there.clear())
    numbered = frame.with_row_index(_PLACE)
    pairs = numbered.select(_PLACE, *identity, KNOWN, AVAILABLE).join(there, on=list(identity), suffix="_there")
    apart = (pl.col(KNOWN) - pl.col(f"{KNOWN}_there")).abs() > timedelta(microseconds=within_us)
    pairs = pairs.filter(~apart).with_columns(_wins().alias("_hr_wins"))
    losers = pairs.filter(~pl.col("_hr_wins")).select(_PLACE).unique()
    winners = pairs.join(losers, on=_PLACE, how="anti")
    names = {f"{name}_there": name for name in (KNOWN, AVAILABLE)}
    beaten = winners.drop(KNOWN, AVAILABLE).rename(names).select(there.columns).unique()
    kept = numbered.join(losers, on=_PLACE, how="anti", maintain_order="left").drop(_PLACE)
    return Against(kept, beaten)


def _any_twice(frame: pl.DataFrame, identity: tuple[str, ...]) -> bool:
    unique = (
        frame[identity[0]].n_unique() if len(identity) == 1 else frame.select(pl.struct(identity).n_unique()).item()
    )
    return bool(unique < frame.height)


def _order() -> list[pl.Expr]:
    return [pl.col(AVAILABLE).is_null(), pl.col(AVAILABLE), pl.col(_PLACE)]


def _rounds(ordered: pl.DataFrame, identity: tuple[str, ...], within: timedelta) -> list[pl.Series]:
    """The places of copies: the best row of each identity removes those near it; the rest goes again."""
    lost = [pl.Series([], dtype=pl.UInt32)]
    while ordered.height:
        best = ordered.unique(list(identity), keep="first", maintain_order=True)
        others = ordered.join(best.select(_PLACE), on=_PLACE, how="anti", maintain_order="left")
        paired = others.join(
            best.select(*identity, pl.col(KNOWN).alias("_hr_best")), on=list(identity), maintain_order="left"
        )
        near = (pl.col(KNOWN) - pl.col("_hr_best")).abs() <= within
        lost.append(paired.filter(near)[_PLACE])
        ordered = paired.filter(~near).drop("_hr_best")
    return lost


def _wins() -> pl.Expr:
    old, new = pl.col(f"{AVAILABLE}_there"), pl.col(AVAILABLE)
    return (new.is_not_null() & (old.is_null() | (new < old))).fill_null(value=False)
