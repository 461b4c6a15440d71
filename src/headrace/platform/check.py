"""Checking what is published against a view's checks as they are now, and seeing what an audit found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from headrace.lake.failures import lake_failures
from headrace.platform.auditing import Audited, rejected
from headrace.platform.gold import DAY_COLUMN, Gold
from headrace.quality.audit import Verdict, audit, failing_steps

if TYPE_CHECKING:
    from headrace.platform.context import Context


@dataclass(frozen=True, slots=True)
class Checked:
    """How a view stands to its checks.

    Parameters
    ----------
    version : int or None
        The publication that was checked; None where nothing was published.
    verdict : Verdict or None
        What was found in it.
    failing : frame
        Its first failing steps, with their reasons.
    rejected : Audited, optional
        The last candidate that an audit rejected and that was not published since.
    rejected_rows : frame
        Its failing steps.
    """

    version: int | None
    verdict: Verdict | None
    failing: pl.DataFrame
    rejected: Audited | None
    rejected_rows: pl.DataFrame


def check(context: Context, view_name: str) -> Checked:
    """Audit what is published of a view by its checks as they are defined now; changes nothing.

    Raises
    ------
    AuditError
        If a check can't be evaluated.
    """
    gold = Gold.of(context, context.definitions.view(view_name))
    verdict, failing = (None, pl.DataFrame()) if gold.pinned is None else _audited(gold)
    number = None if gold.publication is None else gold.publication.number
    last = next(reversed(rejected(context, gold)), None)
    return Checked(number, verdict, failing, last, pl.DataFrame() if last is None else _rows(last))


def _audited(gold: Gold) -> tuple[Verdict, pl.DataFrame]:
    verdict = audit(gold.view.place, gold.view.checks, gold.scan(), DAY_COLUMN)
    failing = failing_steps(gold.view.checks, gold.scan()).drop(DAY_COLUMN) if verdict.findings else pl.DataFrame()
    return verdict, failing


def _rows(record: Audited) -> pl.DataFrame:
    with lake_failures("read", record.rows):
        return pl.read_parquet(record.rows)
