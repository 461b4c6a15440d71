"""What an audit finds."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest

import headrace as hr
from headrace.errors import AuditError
from headrace.quality.audit import KEPT_ROWS, REASONS, Verdict, audit, failing_steps

STEPS = pl.DataFrame({
    "day": [date(2026, 1, 5)] * 4 + [date(2026, 1, 6)] * 2,
    "speed": [1.0, float("nan"), None, 80.0, 2.0, 3.0],
    "n": [1, 2, 3, None, 5, 6],
    "status": ["free", "busy", None, "lost", "free", "free"],
    "seen": [datetime(2026, 1, 5, hour, tzinfo=UTC) for hour in range(6)],
})  # fmt: skip


def found(*checks: hr.check.Check) -> Verdict:
    return audit("view 'v'", checks, STEPS.lazy(), "day")


@pytest.mark.parametrize(
    ("check", "failing"),
    [
        (hr.check.between("speed", 0, 70), 2),
        (hr.check.between("speed", 0), 1),
        (hr.check.between("n", 2, 5), 2),
        (hr.check.not_null("n"), 1),
        (hr.check.not_null("speed"), 1),
        (hr.check.is_in("status", ["free", "busy"]), 1),
        (hr.check.matches("status", "[a-z]{4}"), 0),
        (hr.check.matches("status", "free|busy"), 1),
        (hr.check.between("seen", "2026-01-05T01:00:00Z", "2026-01-05T04:00:00Z"), 2),
    ],
)
def test_a_null_fails_not_null_alone_and_nan_no_range(check: hr.check.Check, failing: int) -> None:
    verdict = found(check)
    assert sum(finding.failing for finding in verdict.findings) == failing
    assert verdict.passed == (failing == 0)
    assert verdict.steps == 6


def test_a_share_counts_by_day() -> None:
    assert not found(hr.check.not_null("n", max_failing_share=0.2)).passed, "a quarter of the first day"
    verdict = found(hr.check.not_null("n", max_failing_share=0.25))
    assert verdict.passed
    assert [str(finding) for finding in verdict.findings] == ["n not null: 1 of 4 steps of 2026-01-05 fail (25.00%)"]
    assert Verdict.from_plain(verdict.plain()) == verdict


def test_no_checks_and_no_steps_pass() -> None:
    assert found().passed
    assert audit("view 'v'", [hr.check.not_null("n")], STEPS.clear().lazy(), "day").passed


def test_failing_steps_have_all_their_reasons() -> None:
    checks = [hr.check.between("speed", 0, 70), hr.check.not_null("n"), hr.check.not_null("status")]
    reasons = failing_steps(checks, STEPS.lazy())[REASONS].to_list()
    assert reasons == [["speed between 0 and 70"], ["status not null"], ["speed between 0 and 70", "n not null"]]


def test_of_very_many_failing_steps_the_first_are_kept() -> None:
    many = pl.DataFrame({"n": [None] * (KEPT_ROWS + 5)}, schema={"n": pl.Int64})
    assert len(failing_steps([hr.check.not_null("n")], many.lazy())) == KEPT_ROWS


def test_a_check_that_does_not_fit_its_column_is_named() -> None:
    with pytest.raises(AuditError, match=r"view 'v': its checks \(n matches x\) can't be evaluated"):
        found(hr.check.matches("n", "x"))
