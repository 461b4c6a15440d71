"""Chapter 3: each view's steps, computed once, from silver to gold."""

from __future__ import annotations

from data_platform.demo.telling import Teller
from headrace import Platform
from headrace.cli.progress import backfill_bar


def backfill(tell: Teller, platform: Platform) -> dict[str, int]:
    """Backfill every view."""
    with tell.chapter("Backfill", "A feature is a step function of time: when it changed, and to what."):
        reports = []
        for view in platform.definitions.views:
            with backfill_bar(view) as progress:
                reports.append(platform.backfill(view, progress=progress))
        rows = [(r.view, ", ".join(platform.definitions.view(r.view).features), r.rows, r.steps) for r in reports]
        tell.table(("view", "features", "rows read", "steps"), rows)
    return {report.view: report.steps for report in reports}
