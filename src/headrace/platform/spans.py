"""Cutting a backfill into spans of time that fit into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headrace.types import DAY

ROWS_A_SPAN = 2_000_000
"""Rows that are read and merged at once: some hundred megabytes."""
_SHORTEST = 60_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of work: the time ``[since, until)`` and how many rows become known in it, about."""

    since: int
    until: int
    rows: int


def spans(start: int, end: int, rows_by_day: Mapping[int, int], rows_a_span: int = ROWS_A_SPAN) -> list[Span]:
    """Cut ``[start, end)`` at midnights (UTC), and within days that are too large.

    Parameters
    ----------
    start, end : int
        In microseconds.
    rows_by_day : mapping of int to int
        For each day (its number since 1970), how many rows became known in it.
    rows_a_span : int
        Neighbouring days are joined up to so many rows.

    Examples
    --------
    >>> [(s.since // DAY, s.until // DAY, s.rows) for s in spans(0, 5 * DAY, {0: 4, 1: 4, 2: 9}, 10)]
    [(0, 2, 8), (2, 5, 9)]
    """
    joined: list[Span] = []
    for piece in _days(start, end, rows_by_day):
        if joined and joined[-1].rows + piece.rows <= rows_a_span:
            joined[-1] = Span(joined[-1].since, piece.until, joined[-1].rows + piece.rows)
        else:
            joined.append(piece)
    return [part for span in joined for part in _parts(span, rows_a_span)]


def _days(start: int, end: int, rows_by_day: Mapping[int, int]) -> list[Span]:
    """One span for each day with rows, which takes the empty days after it along."""
    if start >= end:
        return []
    cuts = sorted({start, *(max(start, day * DAY) for day in rows_by_day if start <= day * DAY < end)})
    bounds = zip(cuts, [*cuts[1:], end], strict=True)
    return [Span(since, until, rows_by_day.get(since // DAY, 0)) for since, until in bounds]


def _parts(span: Span, rows_a_span: int) -> list[Span]:
    pieces = -(-span.rows // rows_a_span)
    if pieces <= 1 or span.until - span.since > DAY:
        return [span]
    length = max(-((span.since - span.until) // pieces), _SHORTEST)
    cuts = range(span.since, span.until, length)
    return [Span(cut, min(cut + length, span.until), span.rows // pieces) for cut in cuts]
