"""What Prometheus reads."""

from __future__ import annotations

from headrace.errors import OnlineStoreError
from headrace.platform.online_heads import Head
from headrace.server.metrics import Metrics
from headrace.timeline.packed import NOT_FOUND, PRESENT, Layout
from headrace.types import SECOND


def head(number: int, frontier: int) -> Head:
    return Head("v", "f", number, 1, 1, 1, frontier, 0, frontier, Layout(()), {}, {})


def lines(metrics: Metrics) -> set[str]:
    return set(metrics.text().decode().splitlines())


def test_values_are_counted_by_view_and_status() -> None:
    metrics = Metrics(dict, lambda: 0)
    metrics.values(["v", "v", "w"], [(PRESENT, PRESENT, NOT_FOUND)] * 2 + [(PRESENT, NOT_FOUND, NOT_FOUND)])
    metrics.values(["v"], [])
    assert {
        'headrace_values_total{status="PRESENT",view="v"} 5.0',
        'headrace_values_total{status="NOT_FOUND",view="v"} 1.0',
        'headrace_values_total{status="NOT_FOUND",view="w"} 3.0',
    } <= lines(metrics)


def test_views_are_asked_for_at_each_scrape() -> None:
    now, heads = [100 * SECOND], {"v": head(3, 90 * SECOND)}
    metrics = Metrics(lambda: heads, lambda: now[0])
    assert {
        "headrace_online_store_up 1.0",
        'headrace_view_version{view="v"} 3.0',
        'headrace_view_frontier_seconds{view="v"} 90.0',
        'headrace_view_lag_seconds{view="v"} 10.0',
    } <= lines(metrics)
    now[0], heads["v"] = 130 * SECOND, head(4, 125 * SECOND)
    assert {'headrace_view_version{view="v"} 4.0', 'headrace_view_lag_seconds{view="v"} 5.0'} <= lines(metrics)


def test_a_store_that_is_down_leaves_the_other_metrics() -> None:
    def down() -> dict[str, Head]:
        raise OnlineStoreError("it is down")

    metrics = Metrics(down, lambda: 0)
    metrics.answered("/ready", 503, 0.25)
    found = lines(metrics)
    assert {
        "headrace_online_store_up 0.0",
        'headrace_request_seconds_sum{route="/ready",service="",status="503"} 0.25',
    } <= found
    assert not any(line.startswith("headrace_view_version{") for line in found)


def test_two_servers_in_one_process_count_apart() -> None:
    one, other = Metrics(dict, lambda: 0), Metrics(dict, lambda: 0)
    one.answered("/health", 200, 0.1)
    assert not any("/health" in line for line in lines(other))
