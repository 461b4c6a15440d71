"""The figures of one server: the most that it answers, how long it takes then, and at a third of it.

First as many requests as are answered, for an estimate; then fixed rates from there downwards. The first that is kept
up (99 % of the requests answered within the time, none failed), with answers as quick as they should be, is the
server's saturation. As others may use the machine, a rate that is not kept up is tried once more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.serving.load import CONNECTIONS, Load, load
from benchmarks.serving.processes import Server

STEPS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
KEPT_UP = 0.99
_TRIES, _TIMES = 2, 4
MOST_P99_MS = 5.0
_ASKING = "/get-online-features"


def measure(server: Server, bodies: Path, seconds: float, most_p99_ms: float | None = MOST_P99_MS) -> dict[str, Any]:
    """Measure a server that has started.

    Parameters
    ----------
    server : Server
        The server.
    bodies : Path
        The requests.
    seconds : float
        How long each load lasts.
    most_p99_ms : float, optional
        Go on to lower rates until answers are as quick as this; the saturation is the rate at which they are, if any.
    """
    url = server.url + _ASKING
    most, cpu_us = _most(server, bodies, seconds)
    steps = _steps(url, bodies, seconds, most.per_second, most_p99_ms)
    kept = [done for asked, done in steps if kept_up(asked, done)]
    quick = [done for done in kept if is_quick(done, most_p99_ms)]
    saturation = next(iter([*quick, *kept, steps[-1][1]]))
    third = load(url, seconds, bodies=bodies, rate=saturation.per_second / 3)
    return {
        "saturation": saturation.per_second, "p50_ms": saturation.p50_ms, "p99_ms": saturation.p99_ms,
        "third_p50_ms": third.p50_ms, "third_p99_ms": third.p99_ms,
        "closed_loop": most.per_second, "closed_loop_p50_ms": most.p50_ms, "closed_loop_p99_ms": most.p99_ms,
        "server_cpu_us": cpu_us, "tool_cpu_us": most.tool_cpu_us, "failed": most.failed + third.failed,
        "steps": [[round(asked), round(done.per_second), round(done.p99_ms, 3)] for asked, done in steps],
    }  # fmt: skip


def _most(server: Server, bodies: Path, seconds: float) -> tuple[Load, float]:
    """What comes of asking as fast as it answers, the best of some times; and the server's processor time a request."""
    found = []
    for _ in range(_TIMES):
        before = server.cpu_seconds()
        done = load(server.url + _ASKING, seconds / 2, bodies=bodies)
        found.append((done, (server.cpu_seconds() - before) * 1e6 / max(done.answered, 1)))
    return max(found, key=lambda each: each[0].per_second)


def kept_up(asked: float, done: Load) -> bool:
    """Whether a rate was answered."""
    return done.per_second >= KEPT_UP * asked and not done.failed


def is_quick(done: Load, most_p99_ms: float | None) -> bool:
    """Whether nearly all answers came in time."""
    return most_p99_ms is None or done.p99_ms < most_p99_ms


def _steps(url: str, bodies: Path, seconds: float, most: float, most_p99_ms: float | None) -> list[tuple[float, Load]]:
    steps: list[tuple[float, Load]] = []
    for share in STEPS:
        asked = share * most
        for _ in range(_TRIES):
            done = load(url, seconds, bodies=bodies, rate=asked, connections=CONNECTIONS)
            steps.append((asked, done))
            if kept_up(asked, done) and is_quick(done, most_p99_ms):
                return steps
    return steps
