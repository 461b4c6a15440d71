"""The log of epochs: what each will read is written down before it takes effect, and that it did, after.

One line of JSON an entry, with its own checksum, each made durable before anything goes on. A line that a crash or a
full disk tore is as if it had not been written. Of a plan that was never committed the same ranges are read again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import xxhash

from headrace.errors import StateError
from headrace.lake.durable import make_folder, sync_folder, write_file
from headrace.lake.failures import lake_failures

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
    cap : int
        The last instant that may be reached, in microseconds; without ranges the one that is reached. 0 for none.
    """

    epoch: int
    ranges: Mapping[str, tuple[int, int]]
    read_at: int
    at_head: tuple[str, ...] = ()
    cap: int = 0

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
        """What it says; a torn last line was never written.

        Raises
        ------
        StateError
            If a line in the middle is damaged.
        LakeError
            If it can't be read.
        """
        if not self.path.exists():
            return Logged()
        with lake_failures("read", self.path):
            *lines, _ = self.path.read_bytes().split(b"\n")  # nothing came of what has no end
        found = [_parsed(line) for line in lines]
        if None in found[:-1]:
            place = found.index(None) + 1
            raise StateError(f"{self.path}, line {place} is damaged. Begin anew: headrace stream --reset")
        return _logged([entry for entry in found if entry is not None])

    def plan(self, plan: Plan) -> None:
        """Write down what an epoch will read, durably.

        Raises
        ------
        LakeError
            If it can't be written, as where the disk is full: the log is as it was.
        """
        self._append(_planned(plan))

    def commit(self, epoch: int) -> None:
        """Write down that an epoch has taken effect in every sink, durably.

        Raises
        ------
        LakeError
            If it can't be written: the log is as it was.
        """
        self._append(_line({"commit": epoch}))

    def void(self, epoch: int) -> None:
        """Write down that a plan came to nothing, durably: nothing was written of it, and another takes its number.

        Raises
        ------
        LakeError
            If it can't be written: the log is as it was.
        """
        self._append(_line({"void": epoch}))

    def forget(self, before: int) -> None:
        """Leave out what came before an epoch; done in one rename.

        Raises
        ------
        LakeError
            If it can't be written: the log is as it was.
        """
        with self._turn:
            logged = self.read()
            self.close()
            kept = [_planned(plan) for plan in logged.plans if plan.epoch >= before]
            with lake_failures("write", self.path):
                write_file(self.path, b"".join([*kept, _line({"commit": logged.committed})]))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, line: bytes) -> None:
        with self._turn, lake_failures("write", self.path):
            if self._file is None:
                self._file = _opened(self.path)
            size = os.fstat(self._file.fileno()).st_size
            try:
                _write(self._file, line)
                os.fsync(self._file.fileno())
            except OSError:
                # What is there of it would be in the middle of the log after the next one, or be taken for written.
                with suppress(OSError):
                    self._file.truncate(size)
                self.close()  # if that did not help, it is mended when it is opened again
                raise


def _opened(path: Path) -> Any:
    """A log's file to append to, without a buffer: what failed is not tried again behind our back."""
    make_folder(path.parent)
    _mend(path)
    file = path.open("ab", buffering=0)
    sync_folder(path.parent)
    return file


def _write(file: Any, line: bytes) -> None:
    """Write all of a line; a disk takes what it has room for, and complains at the next try only."""
    while line:
        line = line[file.write(line) :]


def _mend(path: Path) -> None:
    """Cut off a line that was torn, so that the next one does not continue it."""
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


def _planned(plan: Plan) -> bytes:
    ranges = {name: list(each) for name, each in plan.ranges.items()}
    capped = {"cap": plan.cap} if plan.cap else {}
    return _line({
        "plan": plan.epoch, "ranges": ranges, "at": plan.read_at, "at_head": list(plan.at_head), **capped,
    })  # fmt: skip


def _line(entry: dict[str, Any]) -> bytes:
    body = msgspec.json.encode({"v": _FORMAT, **entry})
    return b"%s %s\n" % (xxhash.xxh3_64_hexdigest(body).encode(), body)


def _logged(entries: list[dict[str, Any]]) -> Logged:
    plans: dict[int, Plan] = {}
    for entry in entries:
        if "plan" in entry:
            plans[entry["plan"]] = _plan(entry)
        plans.pop(entry.get("void", 0), None)
    committed = max((entry["commit"] for entry in entries if "commit" in entry), default=0)
    return Logged(tuple(plans[epoch] for epoch in sorted(plans)), committed)


def _plan(entry: dict[str, Any]) -> Plan:
    ranges = {name: (int(start), int(end)) for name, (start, end) in entry["ranges"].items()}
    return Plan(entry["plan"], ranges, entry["at"], tuple(entry["at_head"]), entry.get("cap", 0))
