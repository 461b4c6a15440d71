"""A process of its own that ingests a test project, to be killed: ``python -m tests.integration.ingest_child``."""

from __future__ import annotations

import sys
from pathlib import Path

import headrace as hr
from headrace.platform.quarantine import replay_quarantine
from tests.ingesting import GPS, NOON, Project, gps


def source(root: Path) -> hr.EventSource:
    """The source, its contract mended where a file says so."""
    mended = (root / "mended").exists()
    highest = 1000 if mended else 90
    schema = GPS | {"seen": hr.Timestamp}
    return hr.EventSource(
        "gps", schema=schema, event_time="ts", available_time="seen", dedupe_on="event_id",
        contract=[hr.check.between("lat", -90, highest)], max_rejected_share=0.5, batch=gps().batch,
    )  # fmt: skip


def project(root: Path) -> Project:
    """The project in a folder."""
    return Project(root, source(root), now=NOON + (root / "mended").exists() * 3_600_000_000)


def main() -> None:
    """Do what the arguments say: ingest, rebuild or replay."""
    found, what = project(Path(sys.argv[1])), sys.argv[2]
    if what == "replay":
        replay_quarantine(found.context(), "gps")
    else:
        found.ingest(rebuild=what == "rebuild")


if __name__ == "__main__":
    from headrace.platform import landing

    landing.BATCH_ROWS = 40  # type: ignore[misc]
    main()
