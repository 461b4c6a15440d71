"""The peers of `headrace bench stream` over one topic, each in its own process and environment.

``python -m benchmarks.stream_peers.run BOOTSTRAP TOPIC N_EVENTS`` prints what they say as one JSON line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import ROOT
from benchmarks.stream_peers.comparing import heads

SPARK: Final = ROOT / ".venv-spark" / "bin" / "python"
BYTEWAX: Final = ROOT / ".venv-bytewax" / "bin" / "python"
INSTALL: Final = "make bench-stream"
BYTEWAX_EVENTS: Final = 500_000
WARM_EVENTS: Final = 200_000
RUNS: Final[dict[str, dict[str, Any]]] = {
    "spark": {"batch_events": 0},
    "spark in batches": {},
    "spark deduped": {"batch_events": 0, "dedupe": True},
    "spark tumbling": {"batch_events": 0, "hop": "5 minutes", "sink": "delta"},
    "bytewax": {},
}
"""What each run asks for. Spark is fastest with everything in one micro-batch; "in batches" of a million events is
closer to a stream. "deduped" drops repeated events, as headrace does; the others count them twice."""


class PeerError(RuntimeError):
    """A peer did not get through."""


def peers(
    bootstrap: str, topic: str, n_events: int, only: Collection[str] = tuple(RUNS), results: Path | None = None
) -> dict[str, dict[str, Any]]:
    """Run those whose environments are there.

    Parameters
    ----------
    bootstrap, topic : str
        A topic that nobody writes to meanwhile.
    n_events : int
        How many events it holds; Bytewax reads the first half million.
    only : collection of str
        Which of `RUNS`.
    results : Path, optional
        Where to keep what they wrote, a folder each; see `comparing.written`. Else it goes away.

    Returns
    -------
    dict
        For each run what its program printed, and its `events_per_second` and machine's `load` before and after.
        Where its environment is not there, "missing" alone: why, and what to do.

    Raises
    ------
    PeerError
        If a program fails, or reads other than the events it was to read.
    """
    with tempfile.TemporaryDirectory(prefix="headrace-peers-") as folder:
        kept = results or Path(folder)
        found: dict[str, dict[str, Any]] = {}
        held = heads(bootstrap, topic)
        for name in only:
            python = BYTEWAX if name == "bytewax" else SPARK
            if not python.exists():
                found[name] = {"missing": f"no {python.relative_to(ROOT)}; to install it: {INSTALL}"}
                continue
            asked = {"bootstrap": bootstrap, "topic": topic, "results": str(kept / name.replace(" ", "-"))}
            found[name] = _run(python, name, asked | _reach(name, held) | RUNS[name])
            _check(name, found[name], min(n_events, BYTEWAX_EVENTS) if name == "bytewax" else n_events)
    return found


def _reach(name: str, held: dict[str, int]) -> dict[str, Any]:
    if name == "bytewax":
        return {"ends": beginning(held)}
    return {"warm_offsets": {p: max(head - WARM_EVENTS // len(held), 0) for p, head in held.items()}}


def beginning(held: dict[str, int], n_events: int = BYTEWAX_EVENTS) -> dict[str, int]:
    """Up to which offset each partition is read for so many events in all, or all where there are fewer."""
    left, ends = n_events, {}
    for number, (partition, head) in enumerate(sorted(held.items(), key=lambda item: item[1])):
        ends[partition] = min(head, left // (len(held) - number))
        left -= ends[partition]
    return ends


def _run(python: Path, name: str, asked: dict[str, Any]) -> dict[str, Any]:
    module = "benchmarks.stream_peers." + name.partition(" ")[0]
    load = os.getloadavg()[0]
    done = subprocess.run(  # noqa: S603 - the benchmark's own programs
        [str(python), "-m", module, json.dumps(asked)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PeerError(f"{name} over topic {asked['topic']} ended with {done.returncode}: {done.stderr[-4000:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    said["load"] = [load, os.getloadavg()[0]]
    return {"events_per_second": said["events"] / said["seconds"], **said}


def _check(name: str, said: dict[str, Any], n_events: int) -> None:
    if said["events"] != n_events:
        raise PeerError(f"{name} read {said['events']:,} events, not {n_events:,}: does the topic hold others?")


if __name__ == "__main__":
    print(json.dumps(peers(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:] or tuple(RUNS))))
