"""What a backfill was doing, so that after a crash the same command goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.lake.durable import write_file
from headrace.lake.failures import lake_failures

if TYPE_CHECKING:
    from headrace.platform.extent import Extent
    from headrace.platform.gold import Gold

_NAME = "running.json"


@dataclass(frozen=True, slots=True)
class Journal:
    """The record of one run, kept in a file until the run has finished.

    Parameters
    ----------
    path : Path
        Its file.
    run_id : str
        The id that the run's commits carry.
    start : int
        Where the run began, in microseconds.
    """

    path: Path
    run_id: str
    start: int

    @classmethod
    def resume_or_begin(cls, folder: Path, extent: Extent, run_id: str) -> Journal:
        """Take over an unfinished run of the same span of the same rows, or begin a new one."""
        path = folder / _NAME
        wanted = {"start": extent.start, "end": extent.end, "silver_version": extent.silver_version}
        with lake_failures("write", path):
            found = _unfinished(path)
            if {name: found.get(name) for name in wanted} == wanted:
                return cls(path, found["run_id"], extent.start)
            write_file(path, json.dumps({**wanted, "run_id": run_id}).encode())
        return cls(path, run_id, extent.start)

    def done_until(self, gold: Gold) -> int:
        """How far the run had come: the end of its last commit."""
        if not gold.table.exists():
            return self.start
        mine = [c.metadata for c in gold.table.commits() if c.metadata.get("run") == self.run_id]
        return max([self.start, *(int(note["until"]) for note in mine)])

    def finish(self) -> None:
        """Forget the run."""
        with lake_failures("write", self.path):
            self.path.unlink(missing_ok=True)


def _unfinished(path: Path) -> dict[str, Any]:
    """The unfinished run; empty if there is none, or its record can't be read: then it is a new run."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
