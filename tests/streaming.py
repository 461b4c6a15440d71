"""A small project with streamed views, and runs of its stream in processes of their own (``python -m``)."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from headrace.platform import Platform
from headrace.testing import steps
from headrace.types import SECOND

ROOT = Path(__file__).parents[1]
START = 1_767_600_000 * SECOND
"""2026-01-05 08:00 UTC."""
FEATURES = """
import headrace as hr

driver = hr.Entity("driver", keys={{"driver_id": hr.Int64}})
zone = hr.Entity("zone", keys={{"zone": hr.String}})
gps = hr.EventSource(
    "gps",
    schema={{"event_id": hr.String, "driver_id": hr.Int64, "zone": hr.String, "ts": hr.Timestamp, "speed": hr.Float64,
            "seen_at": hr.Timestamp}},
    event_time="ts", dedupe_on="event_id", dedupe_within="1h", max_lateness="10s", max_rejected_share=0.2,
    contract=[hr.check.between("speed", 0, 70)], {arrival}
    batch=hr.Files("landing/*.jsonl"), stream={stream},
)
driver_now = hr.FeatureView("driver_now", entity=driver, source=gps, features={{
    "seen": hr.last("ts"), "total": hr.sum("speed"), "n": hr.count(),
    "mean_5m": hr.mean("speed", window=hr.sliding("5m", hop="30s")),
}})
zone_now = hr.FeatureView("zone_now", entity=zone, source=gps, features={{
    "n_1m": hr.count(window=hr.tumbling("1m")), "top_5m": hr.max("speed", window=hr.sliding("5m", hop="1m")),
}})
{more}
model = hr.FeatureService("model", features=[driver_now])
zones = hr.FeatureService("zones", features=[zone_now])
"""


def project(
    root: Path, *, stream: str = 'hr.Files("in/*.jsonl")', kafka: str = "", arrival: bool = True, more: str = "",
    online: str = "", sinks: str = "online, lake",
) -> Platform:  # fmt: skip
    """A project whose definitions are applied."""
    root.mkdir(parents=True, exist_ok=True)
    settings = {"name": "city", "module": "features", "kafka": kafka, "online": online, "stream_sinks": sinks}
    (root / "headrace.toml").write_text("".join(f'{k} = "{v}"\n' for k, v in settings.items() if v))
    arrival_text = 'available_time="seen_at",' if arrival else ""
    (root / "features.py").write_text(FEATURES.format(stream=stream, arrival=arrival_text, more=more))
    platform = Platform.open(root)
    platform.apply()
    return platform


def pings(n: int, seed: int = 1, *, start: int = START, every_us: int = SECOND // 4) -> list[dict[str, Any]]:
    """Pings of forty drivers in nine zones: some late, some doubled, none refused."""
    chosen, made = random.Random(seed), []
    for number in range(n):
        seen = start + number * every_us
        happened = seen - chosen.choice([0, 0, 0, 0, 3 * SECOND, 40 * SECOND])
        row = {
            "event_id": f"{seed}-{number}", "driver_id": chosen.randrange(40), "zone": f"z{chosen.randrange(9)}",
            "ts": happened, "speed": round(chosen.uniform(0, 30), 3),
            "seen_at": seen,
        }  # fmt: skip
        made.append(row)
        if chosen.random() < 0.05:
            made.append(made[-1 - chosen.randrange(min(len(made), 20))])
    return made


def as_json(row: Mapping[str, Any]) -> bytes:
    """A ping as producers send it."""
    times = {name: datetime.fromtimestamp(row[name] / SECOND, UTC).isoformat() for name in ("ts", "seen_at")}
    return json.dumps({**row, **times}).encode()


def write(root: Path, name: str, rows: Iterable[Mapping[str, Any]], folder: str = "in") -> None:
    """Append rows to a file."""
    path = root / folder / name
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(as_json(row) + b"\n" for row in rows))


def run(root: Path, *arguments: str, crash_at: str = "", seed: str = "") -> subprocess.CompletedProcess[str]:
    """Run the stream until it has read everything, or was killed."""
    command = [sys.executable, "-m", "tests.streaming", str(root), *arguments]
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": path, "HEADRACE_CRASH_AT": crash_at, "HEADRACE_SEED": seed}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


def truth(platform: Platform, view: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """The steps of a view, computed from the rows themselves: first copies, in order of identity."""
    first = {row["event_id"]: row for row in reversed(rows)}
    return steps(platform.context.definitions.view(view), list(first.values()))


def streamed_steps(platform: Platform, view: str) -> pl.DataFrame:
    """The steps that the stream wrote into the lake, of its newest generation."""
    from headrace.definitions.fingerprint import view_fingerprint

    defined = platform.context.definitions.view(view)
    table = platform.context.lake.table("streamed", view, view_fingerprint(defined))
    found = table.scan().collect()
    return found.filter(pl.col("_hr_generation") == found["_hr_generation"].max())


def online(platform: Platform, service: str, keys: Mapping[str, list[Any]], at: int) -> dict[str, list[Any]]:
    """What the online store answers at a time."""
    answer = platform.online(service, dict(keys), at=at)
    return {name: answer.to_dict()[name] for name in answer.names}


def main() -> None:
    """Run the stream of a project until all is read, with small epochs and many snapshots."""
    from headrace.platform.stream_pace import Pace

    root, *arguments = sys.argv[1:]
    most = int(arguments[0]) if arguments else 500
    platform = Platform.open(Path(root))
    steps_too = "lake" in platform.context.settings.stream_sinks
    pace = Pace(0.0, most, snapshot_seconds=0.05, every_step=steps_too, until_idle=True, idle_seconds=3600)
    platform.stream("gps", pace, tell=print)


if __name__ == "__main__":
    main()
