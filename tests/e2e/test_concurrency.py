"""Many processes at once on one project: every answer is that of a published version, and nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.contending.contention import contend
from benchmarks.contending.tally import print_tally

SECONDS = 60.0 if os.environ.get("HEADRACE_REQUIRE_SERVICES") == "1" else 5.0
"""A while: the long run is ``python -m benchmarks.concurrency``."""


@pytest.mark.slow
@pytest.mark.thorough
def test_all_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = contend(SECONDS, seed=3, folder=tmp_path)
    print_tally(tally)
    said = capsys.readouterr().out
    assert tally.is_clean, said
    assert "; 0 unexpected errors, 0 lost, 0 doubled; reads: 0 half-written, 0 unaudited, 0 mixed, 0 behind" in said
    assert tally.publications >= 5
    assert {found.table for found in tally.differences} >= {"gold/driver_now", "gold/city_wait"}
    assert {"backfill", "ingest", "materialize", "vacuum", "online, over HTTP"} <= set(tally.done)
