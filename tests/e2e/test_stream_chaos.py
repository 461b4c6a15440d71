"""A stream whose process, broker and store are killed all the while loses, doubles and mistakes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import chaos


@pytest.mark.kafka
@pytest.mark.thorough
def test_twenty_kills(tmp_path: Path, kafka_home: Path, redis_server: str) -> None:
    tally = chaos(tmp_path, kafka_home, kills=20, seed=11, events=30_000)
    print(tally)
    assert tally.is_clean(), tally
    assert tally.steps["compared"] > 1_000
    assert tally.messages["compared"] == tally.steps["compared"]
    assert tally.values["compared"] > 100
