"""The log of epochs: what each will read is written down before it takes effect, and that it did, after.

One line of JSON an entry, with its own checksum, each made durable before anything goes on. A line that a crash tore is
as if it had not been written. Of a plan that was never committed the same ranges are read again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import xxhash

from headrace.errors import StateError

NAME: Final = "epochs.log"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What an epoch reads, and as of when.

    Parameters
    ----------
    epoch : int
        From 1, without gaps.
    ranges : mapping of str to (int, int)
        For each partition the offsets ``[start, end)``.
    read_at : int
        When it was read, in microseconds UTC: where the log does not say when a record came, it came then.
    at_head : tuple of str
        The partitions that were read to their ends.
    """

    epoch: int
    ranges: Mapping[str, tuple[int, int]]
    read_at: int
    at_head: tuple[str, ...] = ()

    @property
    def ends(self) -> dict[str, int]:
        """The positions behind it."""
        return {name: end for name, (_, end) in self.ranges.items()}


@dataclass(frozen=True, slots=True)
class Logged:
    """What a log says.

    Parameters
    ----------
    plans : tuple of Plan
        In order.
    committed : int
        The last epoch that took effect whole; 0 if none did.
    """

    plans: tuple[Plan, ...] = ()
    committed: int = 0

    def after(self, epoch: int) -> list[Plan]:
        """The plans behind an epoch, in order.

        Raises
        ------
        StateError
            If the one that follows it is not there any more.
        """
        found = [plan for plan in self.plans if plan.epoch > epoch]
        if found and found[0].epoch != epoch + 1:
            raise StateError(
                f"the log of epochs begins with {found[0].epoch}, and the newest state that can be read is of epoch "
                f"{epoch}: what lies between can't be read again. Begin anew: headrace stream --reset"
            )
        return found


@dataclass(slots=True)
class EpochLog:
    """The log in a folder. One process writes it, from any of its threads.

    Parameters
    ----------
    folder : Path
        Where it is.
    """

    folder: Path
    _file: Any = field(default=None, init=False, repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def path(self) -> Path:
        """Its file."""
        return self.folder / NAME

    def read(self) -> Logged:
        """What it says; what follows a torn line was never written.

        Raises
        ------
        StateError
            If a line in the middle is damaged.
        """
        if not self.path.exists():
            return Logged()
        lines = self.path.read_bytes().split(b"\n")
        found = [_parsed(line) for line in lines if line]
        if None in found[:-1]:
            place = found.index(None) + 1
            raise StateError(f"{self.path}, line {place} is damaged. Begin anew: headrace stream --reset")
        return _logged([entry for entry in found if entry is not None])

    def plan(self, plan: Plan) -> None:
        """Write down what an epoch will read, durably."""
        ranges = {name: list(each) for name, each in plan.ranges.items()}
        self._append({"plan": plan.epoch, "ranges": ranges, "at": plan.read_at, "at_head": list(plan.at_head)})

    def commit(self, epoch: int) -> None:
        """Write down that an epoch has taken effect in every sink, durably."""
        self._append({"commit": epoch})

    def forget(self, before: int) -> None:
        """Leave out what came before an epoch; done in one rename."""
        logged = self.read()
        self.close()
        part = self.path.with_suffix(".part")
        kept = EpochLog(self.folder)
        with part.open("wb") as kept._file:
            for plan in logged.plans:
                if plan.epoch >= before:
                    kept.plan(plan)
            kept.commit(logged.committed)
        part.replace(self.path)
        _sync_folder(self.folder)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, entry: dict[str, Any]) -> None:
        body = msgspec.json.encode({"v": _FORMAT, **entry})
        with self._turn:
            if self._file is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                _mend(self.path)
                self._file = self.path.open("ab")
                _sync_folder(self.folder)
            self._file.write(b"%s %s\n" % (xxhash.xxh3_64_hexdigest(body).encode(), body))
            self._file.flush()
            os.fsync(self._file.fileno())


def _mend(path: Path) -> None:
    """Cut off a line that a crash tore, so that the next one does not continue it."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    while whole and _parsed(content[:whole].splitlines()[-1]) is None:
        whole = content.rfind(b"\n", 0, whole - 1) + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)


def _parsed(line: bytes) -> dict[str, Any] | None:
    digest, _, body = line.partition(b" ")
    if digest.decode("ascii", "replace") != xxhash.xxh3_64_hexdigest(body):
        return None
    entry: dict[str, Any] = msgspec.json.decode(body)
    if entry.get("v") != _FORMAT:
        raise StateError(
            f"the log of epochs was written in format {entry.get('v')!r}; this version of headrace reads {_FORMAT}. "
            "Use the version that wrote it, or begin anew: headrace stream --reset"
        )
    return entry


def _logged(entries: list[dict[str, Any]]) -> Logged:
    plans = {entry["plan"]: _plan(entry) for entry in entries if "plan" in entry}
    committed = max((entry["commit"] for entry in entries if "commit" in entry), default=0)
    return Logged(tuple(plans[epoch] for epoch in sorted(plans)), committed)


def _plan(entry: dict[str, Any]) -> Plan:
    ranges = {name: (int(start), int(end)) for name, (start, end) in entry["ranges"].items()}
    return Plan(entry["plan"], ranges, entry["at"], tuple(entry["at_head"]))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
