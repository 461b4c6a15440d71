"""How far a view has come, how old that is, and whether it is held."""

from __future__ import annotations

from pathlib import Path

from headrace.platform import Platform
from headrace.platform.view_status import APPLIED, CHANGED
from headrace.types import DAY, SECOND
from tests.integration.pings import FEATURES, NOW, START, project, put, some_rows

HOUR = 3_600 * SECOND
FRESH = FEATURES.replace('ttl="2h"', 'ttl="2h", freshness="1h"')


def opened(root: Path, now: int) -> Platform:
    return Platform.open(root, clock=lambda: now)


def test_a_view_that_was_never_published(tmp_path: Path) -> None:
    platform = project(tmp_path)
    (status,) = platform.view_status()
    assert (status.version, status.held, status.age_seconds, status.is_stale) == (None, None, None, False)
    (tmp_path / "features.py").write_text(FRESH)
    (status,) = opened(tmp_path, START).view_status()
    assert (status.age_seconds, status.is_stale) == (None, True)


def test_age_is_that_of_the_frontier_against_freshness(tmp_path: Path) -> None:
    project(tmp_path)
    (tmp_path / "features.py").write_text(FRESH)
    platform = opened(tmp_path, NOW)
    platform.apply()
    put(platform, some_rows(1, days=1, n=50))
    platform.backfill("driver_now", end=START + DAY)
    for hours, is_stale in ((0.5, False), (1, False), (1.5, True)):
        (status,) = opened(tmp_path, START + DAY + int(hours * HOUR)).view_status()
        assert (status.version, status.state) == (1, APPLIED)
        assert (status.age_seconds, status.is_stale) == (hours * HOUR / SECOND, is_stale)


def test_what_is_held_and_a_definition_that_is_not_published_yet(tmp_path: Path) -> None:
    platform = project(tmp_path)
    put(platform, some_rows(1, days=1, n=50))
    platform.backfill("driver_now")
    platform.hold("driver_now", "an experiment")
    (status,) = platform.view_status()
    assert (status.version, status.held) == (1, "an experiment")
    (tmp_path / "features.py").write_text(FEATURES.replace('hop="5m"', 'hop="6m"'))
    (status,) = opened(tmp_path, START).view_status()
    assert (status.version, status.state, status.frontier, status.steps) == (1, CHANGED, None, 0)
