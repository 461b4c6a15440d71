"""At the end of a run: how many cases and examples the property tests looked at, and how many cases failed."""

from __future__ import annotations

import re

import pytest
from hypothesis import settings

_STATISTICS = "_hypothesis_stats"
"""Where Hypothesis' plugin leaves its text on a teardown's report; it survives the way back from a worker process."""
_GENERATED = re.compile(r"during generate phase.*?(\d+) passing, (\d+) failing", re.DOTALL)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print one line."""
    cases = {
        report.nodeid: _examples(report.__dict__[_STATISTICS])
        for reports in terminalreporter.stats.values()
        for report in reports
        if _STATISTICS in getattr(report, "__dict__", {})
    }
    if not cases:
        return
    most = max(cases.values())
    failed = {report.nodeid for report in terminalreporter.getreports("failed")} & set(cases)
    profile = settings.get_current_profile_name()
    terminalreporter.section("property tests")
    terminalreporter.write_line(
        f"profile {profile}: {len(cases)} cases, {sum(cases.values()):,} examples (most in a case: {most:,}), "
        f"{len(failed)} cases with a mismatch"
    )


def _examples(text: str) -> int:
    return sum(int(number) for phase in _GENERATED.findall(text) for number in phase)
