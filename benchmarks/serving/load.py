"""The load tool, oha: requests at a fixed rate, each timed from when it was due, or as many as are answered.

At a fixed rate a request that waits for a free connection, or for the tool itself, waits on the clock of the latency:
a server that stalls can't hide it. It is a program of its own in one thread, and takes 10 to 20 us of the machine's
time a request at thousands a second, several times less than vegeta and h2load, so it leaves most to the server.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import ROOT

CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Load:
    """What came of some seconds of requests.

    Parameters
    ----------
    per_second : float
        Requests answered with 200.
    answered, failed : int
        How many were, and how many were not.
    p50_ms, p99_ms : float
        Latency; at a fixed rate from when a request was due.
    tool_cpu_us : float
        The tool's own processor time a request.
    """

    per_second: float
    answered: int
    failed: int
    p50_ms: float
    p99_ms: float
    tool_cpu_us: float


class MissingToolError(RuntimeError):
    """There is no load tool; the message says how to get it."""


def tool() -> str:
    """The path of oha: from ``make load-tool``, or what is installed.

    Raises
    ------
    MissingToolError
        If it is neither here nor there.
    """
    own = ROOT / ".stack" / "oha" / "bin" / "oha"
    found = str(own) if own.exists() else shutil.which("oha")
    if found is None:
        raise MissingToolError("the benchmark needs the load tool oha. Build it (needs Rust's cargo): make load-tool")
    return found


def load(
    url: str, seconds: float, *, bodies: Path | None = None, rate: float | None = None, connections: int = CONNECTIONS
) -> Load:
    """Ask a server for some seconds.

    Parameters
    ----------
    url : str
        What to ask.
    seconds : float
        How long; what is under way then is waited for.
    bodies : Path, optional
        JSON bodies to POST, one a line, in a random order; GET without.
    rate : float, optional
        Requests a second; without, the next one is sent when one is answered.
    connections : int
        How many connections, kept open.
    """
    command = [tool(), "--no-tui", "--output-format", "json", "--worker-threads", "1", "-w"]
    command += ["-z", f"{round(seconds * 1e3)}ms", "-c", str(connections), *_pace(rate), *_posting(bodies), url]
    before = _children_cpu_seconds()
    done = subprocess.run(command, capture_output=True, text=True, env=_without_proxies())  # noqa: S603, PLW1510
    if done.returncode:
        raise RuntimeError(f"oha: {done.stderr}")
    return _load(json.loads(done.stdout), _children_cpu_seconds() - before)


def _pace(rate: float | None) -> list[str]:
    return [] if rate is None else ["-q", f"{rate:.3f}", "--latency-correction"]


def _posting(bodies: Path | None) -> list[str]:
    return [] if bodies is None else ["-m", "POST", "-T", "application/json", "-Z", str(bodies)]


def _without_proxies() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def _load(said: dict[str, object], cpu_seconds: float) -> Load:
    statuses, errors = said["statusCodeDistribution"], said["errorDistribution"]
    latency, summary = said["latencyPercentiles"], said["summary"]
    assert isinstance(statuses, dict)
    assert isinstance(errors, dict)
    assert isinstance(latency, dict)
    assert isinstance(summary, dict)
    answered = statuses.get("200", 0)
    asked = sum(statuses.values()) + sum(errors.values())
    return Load(
        answered / summary["total"], answered, asked - answered, (latency["p50"] or 0) * 1e3,
        (latency["p99"] or 0) * 1e3, cpu_seconds * 1e6 / max(asked, 1),
    )  # fmt: skip


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
