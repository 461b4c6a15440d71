"""Publications to try registries with, and processes of their own: ``python -m tests.contract.registries URL WHAT``."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from headrace.registry import keeping, publications
from headrace.registry.base import Entry, Hold, Lease, Pin, Publication, Registry
from headrace.registry.sql import SqlRegistry

ROOT = Path(__file__).parents[2]
VIEW, LEASE = "driver_now", "publish-driver_now"
HOUR = 3_600_000_000
DRIVER = Entry("entity", "driver", "aa", '{"keys": {"driver_id": "Int64"}}')
HELD = Hold(VIEW, "bad partition", 5, "ada")


def publication(run: str, token: int, **changes: Any) -> Publication:
    """What a run wants to publish."""
    made = Publication(
        view=VIEW, fingerprint="00ff", table_version=3, kind="backfill", run=run, generation=1, frontier=HOUR, steps=7,
        verdict='{"passed": true}', token=token, published_at=2 * HOUR, published_by="ada",
    )  # fmt: skip
    return replace(made, **changes)


def pin(owner: str, table_version: int, **changes: Any) -> Pin:
    """A table version that a manifest needs."""
    return replace(Pin(owner, VIEW, "00ff", table_version, 9), **changes)


def taken(registry: Registry, holder: str = "ada", at: int = 10, view: str = VIEW) -> Lease:
    """The lease under which one publishes, from 10 until 20 by default."""
    lease = registry.take_lease(f"publish-{view}", holder, at=at, until=at + 10)
    assert lease.holder == holder
    return lease


def everything(registry: Registry) -> tuple[Any, ...]:
    """All that a registry knows of publications."""
    return registry.publications(VIEW), registry.serving(), registry.holds(), registry.pins(), registry.current()


def started(url: str, *arguments: str) -> subprocess.Popen[str]:
    """A process that works on a registry, and waits for a line first."""
    command = [sys.executable, "-m", "tests.contract.registries", url, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def finished(process: subprocess.Popen[str]) -> str:
    """Wait for a process, which must end well; what it said."""
    with process:
        said, _ = process.communicate("go\n", timeout=60)
    assert process.returncode == 0
    return said


def _publish(registry: SqlRegistry, name: str, turns: int) -> None:
    """Publish again and again, each time under a lease that others want too."""
    sys.stdin.readline()
    for turn in range(turns):
        while (lease := registry.take_lease(LEASE, f"{name}{turn}", at=10, until=20)).holder != f"{name}{turn}":
            pass
        registry.publish(publication(f"{name}{turn}", lease.token), serve=True)
        print(lease.token)
        registry.give_back_lease(lease)


def _stop_halfway(registry: SqlRegistry, token: int) -> None:
    """Do most of what publishing does, say so, and wait with the transaction open."""
    with registry._database.writing() as connection:
        done = publications.numbered(connection, publication("halfway", token))
        publications.serve(connection, VIEW, done.number)
        keeping.hold(connection, HELD)
        print("halfway", flush=True)
        sys.stdin.readline()


def main() -> None:
    """Do what the arguments say."""
    url, what, *arguments = sys.argv[1:]
    registry = SqlRegistry(url, busy_seconds=20)
    if what == "publish":
        _publish(registry, arguments[0], int(arguments[1]))
    else:
        _stop_halfway(registry, int(arguments[0]))
    registry.close()


if __name__ == "__main__":
    main()
