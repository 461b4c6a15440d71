"""A process of its own that backfills a test project: ``python -m tests.integration.backfill_child DIR [how]``.

It is killed at ``HEADRACE_CRASH_AT``; or while it saves what it carries (``dies-saving``); or it waits at its
first span until its standard input ends (``waits``).
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import polars as pl

from headrace.lake import states
from headrace.platform import Platform
from headrace.platform import backfill as module
from headrace.types import DAY
from tests.integration.pings import NOW, START

END = START + 6 * DAY
ROWS_A_SPAN = 60


def die_saving() -> None:
    """Be killed when the first file of the second saved state is written, and nothing else of it."""
    write, saved = states._write, set[Path]()

    def written(path: Path, frame: pl.DataFrame) -> str:
        digest = write(path, frame)
        saved.add(path.parent)
        if len(saved) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return digest

    states._write = written


def wait(_: module.Progress) -> None:
    """Say that the first span is done, and wait."""
    print("waiting", flush=True)
    sys.stdin.read()


def main() -> None:
    """Backfill the project, in small spans, saving what is carried after each."""
    how = sys.argv[2] if len(sys.argv) > 2 else ""
    if how == "dies-saving":
        die_saving()
    module.SAVE_EVERY_SECONDS = 0.0
    platform = Platform.open(sys.argv[1], clock=lambda: NOW)
    listener = wait if how == "waits" else lambda _: None
    module.backfill(platform.context, "driver_now", end=END, rows_a_span=ROWS_A_SPAN, progress=listener)


if __name__ == "__main__":
    main()
