"""The reference platform on simulated days: offline, online and recomputed values agree."""

from __future__ import annotations

import pytest

from benchmarks.verifying import simulated
from headrace.quality.masking import KEY_VARIABLE

pytestmark = pytest.mark.slow


def test_the_simulated_city_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a key for these tests alone")
    tally = simulated(30_000, days=2, drivers=40)
    assert tally.by_cause == {}, [str(each) for each in tally.examples]
    assert tally.comparisons > 25_000
    assert tally.online > 8_000
