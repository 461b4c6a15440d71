"""Asking the same requests of a store, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.harness import Outcome, Watch

if TYPE_CHECKING:
    import polars as pl

WARMING = 100
MOST_SECONDS = 5.0


def asked(
    ask: Callable[[Any], object], requests: Sequence[Sequence[Any]], result: Callable[[], pl.DataFrame]
) -> Outcome:
    """Ask until all are answered, or `MOST_SECONDS` have passed: the rest is taken to need as long as those did."""
    for request in requests[:WARMING]:
        ask(request)
    took_ns = []
    watch, deadline = Watch(), time.perf_counter_ns() + int(MOST_SECONDS * 1e9)
    before = time.perf_counter_ns()
    for request in requests:
        ask(request)
        after = time.perf_counter_ns()
        took_ns.append(after - before)
        before = after
        if after > deadline:
            break
    share = len(took_ns) / len(requests)
    took_ns.sort()
    notes = {"requests": len(took_ns), "p50_us": _at(took_ns, 0.5), "p99_us": _at(took_ns, 0.99)}
    done = watch.outcome(result, notes)
    return replace(done, seconds=(done.seconds or 0) / share, cpu_seconds=(done.cpu_seconds or 0) / share)


def _at(ordered_ns: Sequence[int], share: float) -> float:
    return ordered_ns[int(share * (len(ordered_ns) - 1))] / 1_000
