"""The audit of a view's candidate: its checks, evaluated on the steps as they were written.

A check may allow a share of failing steps; the share is that of the candidate's steps of a day, so that
one bad day can't hide among good ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import polars as pl

from headrace.definitions.checks import Check
from headrace.errors import AuditError
from headrace.quality.contract import passes
from headrace.types import DataType, Date, Float64, String, Timestamp

REASONS: Final = "_hr_reasons"
KEPT_ROWS: Final = 10_000
_STEPS: Final = "_hr_steps"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found on one day.

    Parameters
    ----------
    check : str
        The check in words.
    day : str
        The UTC day of the steps, as 2026-01-05.
    steps, failing : int
        How many steps there are, and how many fail.
    max_failing_share : float
        How many may, of one.
    """

    check: str
    day: str
    steps: int
    failing: int
    max_failing_share: float

    @property
    def share(self) -> float:
        """How many steps fail, of one."""
        return self.failing / self.steps if self.steps else 0.0

    @property
    def passed(self) -> bool:
        """Whether it is no more than may."""
        return self.share <= self.max_failing_share

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.check}: {self.failing:,} of {self.steps:,} steps of {self.day} fail ({self.share:.2%})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an audit found.

    Parameters
    ----------
    steps : int
        How many steps were looked at.
    checks : tuple of str
        Which checks were made.
    findings : tuple of Finding
        Where steps fail; nothing for a check and a day at which all is well.
    """

    steps: int
    checks: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no finding is more than its check allows."""
        return all(finding.passed for finding in self.findings)

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings that are."""
        return tuple(finding for finding in self.findings if not finding.passed)

    def plain(self) -> dict[str, Any]:
        """As plain data."""
        return {"passed": self.passed, **asdict(self)}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Verdict:
        """The inverse of `plain`."""
        findings = tuple(Finding(**finding) for finding in plain["findings"])
        return cls(plain["steps"], tuple(plain["checks"]), findings)


def audit(place: str, checks: Sequence[Check], steps: pl.LazyFrame, day_column: str) -> Verdict:
    """Evaluate checks on steps.

    Parameters
    ----------
    place : str
        The view, for messages.
    checks : sequence of Check
        The view's.
    steps : lazy frame
        The features and `day_column`.
    day_column : str
        The UTC day that a step belongs to.

    Raises
    ------
    AuditError
        If a check can't be evaluated on its column.
    """
    names = tuple(str(check) for check in checks)
    schema = steps.collect_schema()
    failing = [_failing(check, schema).sum().alias(f"{number}") for number, check in enumerate(checks)]
    by_day = steps.group_by(day_column).agg(pl.len().alias(_STEPS), *failing).sort(day_column)
    counts = _collected(place, checks, by_day)
    findings = [
        Finding(names[number], str(day), total, failed, check.max_failing_share)
        for number, check in enumerate(checks)
        for day, total, failed in counts.select(day_column, _STEPS, f"{number}").iter_rows()
        if failed
    ]
    return Verdict(int(counts[_STEPS].sum()), names, tuple(findings))


def failing_steps(checks: Sequence[Check], steps: pl.LazyFrame) -> pl.DataFrame:
    """The first `KEPT_ROWS` steps that fail one of some checks, with all `REASONS`."""
    schema = steps.collect_schema()
    reasons = [pl.when(_failing(check, schema)).then(pl.lit(str(check))) for check in checks]
    told = steps.with_columns(pl.concat_list(reasons).list.drop_nulls().alias(REASONS))
    return told.filter(pl.col(REASONS).list.len() > 0).head(KEPT_ROWS).collect()


def _failing(check: Check, schema: pl.Schema) -> pl.Expr:
    """Whether a step fails: by the same rules as a source's contract."""
    return ~passes(check, _meaning(schema[check.column]))


def _meaning(dtype: pl.DataType) -> DataType:
    """As far as a rule depends on it."""
    if dtype == pl.Date:
        return Date
    if isinstance(dtype, pl.Datetime):
        return Timestamp
    return Float64 if dtype.is_float() else String


def _collected(place: str, checks: Sequence[Check], counts: pl.LazyFrame) -> pl.DataFrame:
    try:
        return counts.collect()
    except (pl.exceptions.PolarsError, TypeError) as error:
        raise AuditError(
            f"{place}: its checks ({', '.join(map(str, checks))}) can't be evaluated: {error}. Nothing was published. "
            "Correct the check, apply, and run the same command: what was computed is kept."
        ) from error
