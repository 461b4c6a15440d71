"""A small project with fresh rows, and the real server on it: a process of its own, asked over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx

from headrace.platform import Platform
from headrace.types import SECOND
from tests.integration.pings import put

ROOT = Path(__file__).parents[2]
FEATURES = """
import headrace as hr

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
place = hr.Entity("place", keys={"driver_id": hr.Int64, "zone": hr.String})
pings = hr.EventSource(
    "pings",
    schema={"ping_id": hr.String, "driver_id": hr.Int64, "zone": hr.String, "ts": hr.Timestamp, "n": hr.Int64,
            "fee": hr.Decimal(10, 2), "token": hr.Binary, "day": hr.Date},
    event_time="ts", dedupe_on="ping_id",
)
driver_now = hr.FeatureView("driver_now", entity=driver, source=pings, ttl="2h", features={
    "total": hr.sum("n"), "n": hr.last("n"), "rows": hr.count(), "seen": hr.last("ts"), "fees": hr.sum("fee"),
    "token": hr.last("token"), "day": hr.last("day"),
})
place_now = hr.FeatureView("place_now", entity=place, source=pings, features={"rows": hr.count()})

@hr.on_demand(
    inputs=[driver_now["total"]], request={"factor": hr.Int64}, outputs={"product": hr.Int64, "same": hr.Int64},
)
def scaled(total, factor):
    return {"product": total * factor, "same": total}

@hr.on_demand(inputs=[driver_now["total"]], outputs={"never": hr.Int64})
def failing(total):
    return total * (1 // 0)

model = hr.FeatureService("model", features=[driver_now[["rows", "total", "n", "seen"]]])
values = hr.FeatureService("values", features=[driver_now[["fees", "token", "day", "seen"]]])
places = hr.FeatureService("places", features=[place_now, driver_now["rows"]])
scaling = hr.FeatureService("scaling", features=[scaled, driver_now["total"]])
"""
GLOBAL = """
city_now = hr.FeatureView("city_now", entity=None, source=pings, features={"pings": hr.count()})
city = hr.FeatureService("city", features=[city_now])
"""


def ping(driver: int, n: int | None, ago_seconds: int, zone: str = "x") -> dict[str, Any]:
    """A ping of some time ago."""
    ts = time.time_ns() // 1_000 - ago_seconds * SECOND
    return {
        "ping_id": f"{driver}-{n}-{ts}", "driver_id": driver, "zone": zone, "ts": ts, "n": n, "fee": Decimal("1.10"),
        "token": b"ab", "day": date(2026, 1, 5),
    }  # fmt: skip


def project(root: Path, more: str = "") -> Platform:
    """A project whose definitions, and more of them, are applied, without rows."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "headrace.toml").write_text('name = "city"\nmodule = "features"\n')
    (root / "features.py").write_text(FEATURES + more)
    platform = Platform.open(root)
    platform.apply()
    return platform


def publish(platform: Platform, rows: Sequence[dict[str, Any]]) -> None:
    """Add rows and publish all views, offline and online."""
    put(platform, rows)
    for view in platform.definitions.views:
        platform.backfill(view)


@dataclass(frozen=True, slots=True)
class Serving:
    """A server at work.

    Parameters
    ----------
    process : Popen
        Its process.
    client : Client
        Asks it.
    """

    process: subprocess.Popen[str]
    client: httpx.Client

    def ask(self, request: Any) -> httpx.Response:
        """Ask for features."""
        return self.client.post("/get-online-features", json=request)

    def told(self, request: Any, status: int) -> str:
        """Ask in vain: the message of the error."""
        response = self.ask(request)
        assert response.status_code == status, response.text
        assert set(response.json()) == {"error"}
        assert set(response.json()["error"]) == {"type", "message"}
        message: str = response.json()["error"]["message"]
        return message

    def answer(self, request: Any) -> dict[str, list[tuple[Any, str]]]:
        """Ask: for each column, in order, each entity's value and its status."""
        response = self.ask(request)
        assert response.status_code == 200, response.text
        body = response.json()
        columns = [list(zip(c["values"], c["statuses"], strict=True)) for c in body["results"]]
        return dict(zip(body["metadata"]["feature_names"], columns, strict=True))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to stop, and wait."""
        self.process.send_signal(number)
        return self.process.wait(timeout=10)


@contextmanager
def serving(root: Path, *arguments: str, **environment: str) -> Iterator[Serving]:
    """Run ``headrace serve`` on a project; at the end nothing it wrote may hold a traceback."""
    command = [sys.executable, "-m", "headrace", "serve", "--port", "0", "--project", str(root), *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env={**os.environ, **environment}, cwd=ROOT, text=True, stdout=pipe, stderr=pipe
    ) as process:
        try:
            assert process.stdout is not None
            announced = process.stdout.readline()
            if not announced.startswith("headrace serves city at http://127.0.0.1:"):
                raise AssertionError(process.communicate(timeout=10))
            with httpx.Client(base_url=announced.split()[-1], timeout=30) as client:
                yield Serving(process, client)
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=10)
        assert "Traceback" not in errors, errors
