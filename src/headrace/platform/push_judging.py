"""Pushed rows under the source's contract: what its stream would refuse is refused before it is written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.connectors.base import RAW
from headrace.connectors.jsonl import JsonLinesReader
from headrace.connectors.streams import APPENDED, OFFSET, PARTITION, RECEIVED
from headrace.definitions.locations import Kafka
from headrace.platform.decoding import with_origin
from headrace.platform.landing import ARRIVED, BATCH
from headrace.platform.push_report import PushRefusedError, RefusedRow
from headrace.quality.base import UTC
from headrace.quality.contract import REDACTED, judge
from headrace.quality.times import with_times

if TYPE_CHECKING:
    from headrace.definitions.sources import Source
    from headrace.platform.push_rows import Lines

_NEAR: Final = 0.75


@dataclass(frozen=True, slots=True)
class Judged:
    """What a contract made of pushed rows.

    Parameters
    ----------
    lines : list of bytes
        The good ones.
    keys : list of str or None
        Their keys, where the topic is keyed.
    refused : tuple of RefusedRow
        Each reason for which others are not.
    refused_rows : int
        How many those are.
    """

    lines: list[bytes]
    keys: list[str] | None
    refused: tuple[RefusedRow, ...]
    refused_rows: int


def undeclared(source: Source, columns: frozenset[str]) -> dict[str, str]:
    """The columns that a source does not declare, each with the nearest one that it does.

    Raises
    ------
    PushRefusedError
        If one looks like a declared column that no row has, or the source takes no others.
    """
    found = {name: _nearest(name, list(source.schema)) for name in sorted(columns) if name not in source.schema}
    for name, nearest in found.items():
        if near := _nearest(name, [each for each in source.schema if each not in columns]):
            raise PushRefusedError(
                f"{source.where}: there is no column '{name}', and no row has '{near}'. Did you mean that? "
                "Nothing was written."
            )
        if source.on_added_column == "stop" or name.startswith("_hr_") or not name:
            hint = f" Did you mean '{nearest}'?" if nearest else ""
            raise PushRefusedError(
                f"{source.where}: there is no column '{name}'.{hint} It has {', '.join(source.schema)}. "
                "Nothing was written."
            )
    return found


def _nearest(name: str, known: list[str]) -> str:
    lower = {each.lower(): each for each in known}
    near = get_close_matches(name.lower(), lower, n=1, cutoff=_NEAR)
    return lower[near[0]] if near else ""


def judged(source: Source, pushed: Lines, now_us: int) -> Judged:
    """Judge rows as the stream will, as if they arrived now.

    Parameters
    ----------
    source : Source
        The contract.
    pushed : Lines
        The rows.
    now_us : int
        Now, in microseconds UTC: no row may lie later than that and ``max_future``.
    """
    broken = {each.row for each in pushed.refused}
    frame, failures = _decoded(source, pushed.lines, now_us)
    judged_rows = [
        RefusedRow(index + 1, column or "", reason, found or "")
        for index, reason, column, found in failures.iter_rows()
        if index + 1 not in broken
    ]
    unwritable = [_redacted(source, each) for each in pushed.refused]
    refused = tuple(sorted([*unwritable, *judged_rows], key=_row))
    bad = {each.row for each in refused}
    good = [index for index in range(len(pushed.lines)) if index + 1 not in bad]
    return Judged([pushed.lines[index] for index in good], _keys(source, frame, good), refused, len(bad))


def _redacted(source: Source, refused: RefusedRow) -> RefusedRow:
    """As the contract does it: what was found in a personal column is not told."""
    is_secret = refused.column in source.personal or (not refused.column and source.personal)
    return replace(refused, found=REDACTED if refused.found else "") if is_secret else refused


def _row(refused: RefusedRow) -> int:
    return refused.row


def _decoded(source: Source, lines: list[bytes], now_us: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows in their types, and every reason for which some fail."""
    text = pl.Series(RAW, [line.decode(errors="replace") for line in lines], dtype=pl.String)
    received = pl.DataFrame({
        RAW: text,
        PARTITION: pl.repeat("pushed", len(lines), dtype=pl.String, eager=True),
        OFFSET: pl.int_range(len(lines), dtype=pl.Int64, eager=True),
        APPENDED: pl.repeat(None, len(lines), dtype=RECEIVED[APPENDED], eager=True),
    })  # fmt: skip
    taken = received.with_columns(pl.lit(now_us).cast(UTC).alias(ARRIVED), pl.lit("pushed").alias(BATCH))
    decoded = JsonLinesReader(source).decode(taken, whole=False)
    rows = with_times(with_origin(decoded, taken), source, None)
    return rows, judge(source, rows, decoded.failures, decoded.added)


def _keys(source: Source, frame: pl.DataFrame, good: list[int]) -> list[str] | None:
    """As producers write them: the column's value as text."""
    if not isinstance(source.stream, Kafka) or not source.stream.key:
        return None
    keys = frame[source.stream.key].gather(good).cast(pl.String)
    return [key or "" for key in keys]
