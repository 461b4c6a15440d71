"""A process of its own that changes a lake: ``python -m tests.integration.lake_child FOLDER WHAT [WHEN]``."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace.lake import open_lake
from headrace.lake.base import Table
from headrace.lake.durable import write_file
from tests.contract.lakes import DAY_1, DAY_2, SCHEMA, rows

COMMITS = 40
BEGUN = "begun"


def table(root: Path) -> Table:
    """The table that is changed."""
    return open_lake(root / "lake").table("gold", "driver_now")


def die() -> None:
    """Stop as if the machine had lost its power."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying(function: Callable[..., Any], *, call: int, after: bool = False) -> Callable[..., Any]:
    """The function, which dies in its nth call: before it does anything, or when it is done."""
    calls = 0

    def called(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            die()
        result = function(*args, **options)
        if calls == call:
            die()
        return result

    return called


def write(root: Path) -> None:
    """Replace one day or the other, each time with new rows; first note since when files may be uncommitted."""
    for number in range(COMMITS):
        write_file(root / BEGUN, str(time.time_ns() // 1_000).encode())
        day = (DAY_1, DAY_2)[number % 2]
        staged = [table(root).stage(rows(number, number, day=day), day) for _ in range(2)]
        table(root).commit(
            staged, schema=SCHEMA, mode="replace", partition_by=["day"], replace_partitions=[day],
            metadata={"n": str(number)},
        )  # fmt: skip


def vacuum(root: Path, when: str) -> None:
    """Keep nothing old; die at the nth file or folder, or when all is done but the report."""
    from headrace.lake import vacuum as module

    what, call = when.split(":")
    if what == "file":
        Path.unlink = dying(Path.unlink, call=int(call))  # type: ignore[method-assign]
    elif what == "folder":
        Path.rmdir = dying(Path.rmdir, call=int(call))  # type: ignore[method-assign]
    else:
        module.swept = dying(module.swept, call=int(call), after=True)
    table(root).vacuum([], newer_than_us=None)


def restore(root: Path, when: str) -> None:
    """Restore version 0; die right before the log's entry is written, or right behind it."""
    from headrace.lake import log

    if when == "before":
        log.Change.write = dying(log.Change.write, call=1)  # type: ignore[method-assign]
    else:
        log._sync_version = dying(log._sync_version, call=1)
    table(root).restore(0, metadata={"kind": "rollback"}, transaction=("rollback", 1))


def main() -> None:
    """Do what the arguments say."""
    root, what, *when = Path(sys.argv[1]), *sys.argv[2:]
    actions: dict[str, Callable[..., None]] = {"write": write, "vacuum": vacuum, "restore": restore}
    actions[what](root, *when)


if __name__ == "__main__":
    main()
