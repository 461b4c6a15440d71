"""Chapter 9: offline, online and computed anew, compared."""

from __future__ import annotations

from data_platform.demo.telling import Teller
from headrace import Platform

Figures = dict[str, dict[str, int]]


def verify(tell: Teller, platform: Platform) -> Figures:
    """Verify every view, and show what was found."""
    with tell.chapter(
        "Verify", "After all that: at sampled times, a training set, the online store and silver computed anew."
    ):
        reports = [platform.verify(view) for view in platform.definitions.views]
        rows = [(r.view, r.version, r.comparisons, r.comparisons - r.equal, r.unexplained) for r in reports]
        tell.table(("view", "version", "values compared", "different", "unexplained"), rows)
        causes = sorted({cause for report in reports for cause in report.by_cause})
        if causes:
            tell.say(f"Differences are explained by: {', '.join(causes)}.")
    return {
        report.view: {
            "version": report.version or 0,
            "comparisons": report.comparisons,
            "online_comparisons": report.online_comparisons,
            "different": report.comparisons - report.equal,
            "unexplained": report.unexplained,
        }
        for report in reports
    }
