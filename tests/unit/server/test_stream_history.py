"""How streams went lately."""

from __future__ import annotations

from headrace.server.stream_history import History, sample
from headrace.types import SECOND
from tests.stream_statuses import NOW, status


def test_workers_are_taken_together() -> None:
    slow = status("gps", 1, 2, events_per_second=10.0, freshness_p50_seconds=0.1, freshness_p99_seconds=9.0)
    found = sample(NOW, [status("gps", 0, 2), slow])
    assert (found.events_per_second, found.lag_offsets, found.lag_seconds) == (51_244.4, 5_080, 1.5)
    assert (found.freshness_p50_seconds, found.freshness_p99_seconds) == (0.21, 9.0)


def test_a_stream_that_does_not_run_reads_nothing_and_the_rest_is_not_known() -> None:
    found = sample(NOW, [status(condition="failed")])
    assert found.events_per_second == 0
    assert {found.lag_offsets, found.lag_seconds, found.freshness_p50_seconds, found.freshness_p99_seconds} == {None}


def test_a_silent_worker_reads_nothing_and_its_lag_stands() -> None:
    found = sample(NOW + 40 * SECOND, [status()])
    assert (found.events_per_second, found.lag_offsets, found.freshness_p99_seconds) == (0, 2_540, None)


def test_a_log_that_does_not_stamp_records_gives_no_freshness() -> None:
    found = sample(NOW, [status(measures_arrival=False)])
    assert (found.events_per_second, found.freshness_p99_seconds) == (51_234.4, None)


def test_the_newest_samples_are_kept_by_source() -> None:
    history = History(3)
    for second in range(5):
        streams = [status(epoch=second)] + [status("orders")] * (second > 3)
        history.add(NOW + second * SECOND, streams)
    began = NOW / SECOND
    found = history.plain()
    assert found["gps"]["at_seconds"] == [began + 2, began + 3, began + 4]
    assert found["orders"]["at_seconds"] == [began + 4]
    assert history.plain(began + 3)["gps"] == {
        "at_seconds": [began + 4],
        "events_per_second": [51_234.4],
        "lag_offsets": [2_540],
        "lag_seconds": [1.5],
        "freshness_p50_seconds": [0.21],
        "freshness_p99_seconds": [0.64],
    }
