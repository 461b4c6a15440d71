"""What Prometheus reads of streams."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.errors import StreamError
from headrace.platform.stream_status import stream_status
from headrace.server.stream_measures import MEASURES
from headrace.server.stream_metrics import metrics_text
from headrace.streaming.status import StreamStatus
from headrace.types import SECOND
from tests.stream_statuses import NOW, project, say, status

WORKER = 'source="gps",worker="0"'


def lines(*found: StreamStatus) -> set[str]:
    return set(metrics_text(lambda: found).decode().splitlines())


def test_a_worker_is_told_of() -> None:
    assert {
        "headrace_stream_status_readable 1.0",
        f"headrace_stream_up{{{WORKER}}} 1.0",
        f'headrace_stream_condition{{condition="running",{WORKER}}} 1.0',
        f'headrace_stream_condition{{condition="gone",{WORKER}}} 0.0',
        f"headrace_stream_events_total{{{WORKER}}} 184000.0",
        f"headrace_stream_rejected_total{{{WORKER}}} 12.0",
        f"headrace_stream_duplicates_total{{{WORKER}}} 830.0",
        f"headrace_stream_late_total{{{WORKER}}} 41.0",
        f'headrace_stream_freshness_seconds{{quantile="0.99",{WORKER}}} 0.64',
        f"headrace_stream_state_bytes{{{WORKER}}} 4.12e+08",
        f"headrace_stream_epoch{{{WORKER}}} 12345.0",
        f"headrace_stream_snapshot_epoch{{{WORKER}}} 12320.0",
        'headrace_stream_epoch_seconds{source="gps",stage="compute",worker="0"} 0.088',
        f"headrace_stream_epoch_duration_seconds{{{WORKER}}} 0.24",
        f'headrace_stream_sink_epoch{{sink="delta",{WORKER}}} 12344.0',
    } <= lines(status())


def test_partitions_and_views_are_told_of() -> None:
    assert {
        'headrace_stream_lag_offsets{partition="1",source="gps",worker="0"} 2500.0',
        'headrace_stream_lag_seconds{partition="1",source="gps",worker="0"} 1.5',
        'headrace_stream_position{partition="0",source="gps",worker="0"} 1000.0',
        'headrace_stream_head{partition="0",source="gps",worker="0"} 1040.0',
        'headrace_stream_idle{partition="2",source="gps",worker="0"} 1.0',
        'headrace_stream_records_total{source="gps",view="driver_now",worker="0"} 31000.0',
        'headrace_stream_steps_total{source="gps",view="driver_now",worker="0"} 44000.0',
        'headrace_stream_entities{source="gps",view="driver_now",worker="0"} 50000.0',
        'headrace_stream_view_state_bytes{source="gps",view="driver_now",worker="0"} 4e+08',
    } <= lines(status())


def test_times_are_seconds_since_1970() -> None:
    found = status(started_at=NOW - 60 * SECOND)
    families = text_string_to_metric_families(metrics_text(lambda: [found]).decode())
    told = {sample.name: sample.value for family in families for sample in family.samples}
    began = NOW / SECOND
    assert told["headrace_stream_watermark_seconds"] == began - 3
    assert told["headrace_stream_status_time_seconds"] == began
    assert told["headrace_stream_start_time_seconds"] == began - 60


def test_what_is_not_known_is_not_told() -> None:
    found = lines(status(cut=0, measures_arrival=False, epoch_seconds={}))
    for name in ("watermark_seconds", "freshness_seconds", "epoch_seconds", "epoch_duration_seconds"):
        assert not any(line.startswith(f"headrace_stream_{name}{{") for line in found), name
    assert not any(line.startswith('headrace_stream_partition_watermark_seconds{partition="2"') for line in found)


@pytest.mark.parametrize("condition", ["stopped", "failed", "gone"])
def test_a_worker_that_does_not_run(condition: str) -> None:
    found = lines(status(condition=condition))
    assert f"headrace_stream_up{{{WORKER}}} 0.0" in found
    assert f'headrace_stream_condition{{condition="{condition}",{WORKER}}} 1.0' in found


def test_the_folder_is_read_at_each_scrape(tmp_path: Path) -> None:
    context = project(tmp_path)
    assert b"headrace_stream_up{" not in metrics_text(lambda: stream_status(context))
    say(context, status(condition="stopped", epoch=1))
    assert b'headrace_stream_epoch{source="gps",worker="0"} 1.0' in metrics_text(lambda: stream_status(context))
    say(context, status(condition="stopped", epoch=2))
    assert b'headrace_stream_epoch{source="gps",worker="0"} 2.0' in metrics_text(lambda: stream_status(context))


def test_a_status_that_can_not_be_read_is_told() -> None:
    def unreadable() -> list[StreamStatus]:
        raise StreamError("it is torn")

    text = metrics_text(unreadable).decode()
    assert "headrace_stream_status_readable 0.0" in text.splitlines()
    assert "headrace_stream_up" not in text


def test_names_keep_the_conventions() -> None:
    found = [status("gps", worker, 2) for worker in range(2)] + [status("orders")]
    families = list(text_string_to_metric_families(metrics_text(lambda: found).decode()))
    assert len(families) == len(MEASURES) + 1
    assert all(family.documentation.endswith(".") for family in families)
    kinds = {f"headrace_stream_{measure.name}".removesuffix("_total"): measure.kind for measure in MEASURES}
    assert {family.name: family.type for family in families if family.name in kinds} == kinds
    samples = [(sample.name, *sorted(sample.labels.items())) for family in families for sample in family.samples]
    assert len(set(samples)) == len(samples)
