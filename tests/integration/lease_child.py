"""A process of its own that publishes: ``python -m tests.integration.lease_child URL WHAT [ARGUMENT]…``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.platform.leases import publishing
from headrace.registry.base import Registry
from headrace.registry.sql import SqlRegistry
from tests.contract.registries import VIEW, publication


def hold(registry: Registry, length_seconds: float) -> None:
    """Hold the lease until a line comes; then go on as one who has noticed nothing."""
    with publishing(registry, VIEW, length_seconds=length_seconds) as lease:
        print(lease.token, flush=True)
        sys.stdin.readline()
        for attempt in (lease.check, lambda: registry.publish(publication("late", lease.token), serve=True)):
            try:
                attempt()
                print("went through")
            except HeadraceError as error:
                print(type(error).__name__)


def queue(registry: Registry, name: str, turns: int, inside: Path) -> None:
    """Publish again and again; a file is there only while somebody is at it."""
    sys.stdin.readline()
    for turn in range(turns):
        with publishing(registry, VIEW) as lease:
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            registry.publish(publication(f"{name}{turn}", lease.token), serve=True)
            inside.unlink()


def main() -> None:
    """Do what the arguments say."""
    url, what, *arguments = sys.argv[1:]
    registry = SqlRegistry(url, busy_seconds=20)
    if what == "hold":
        hold(registry, float(arguments[0]))
    else:
        queue(registry, arguments[0], int(arguments[1]), Path(arguments[2]))
    registry.close()


if __name__ == "__main__":
    main()
