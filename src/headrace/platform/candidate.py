"""A candidate: steps that are written and that nobody can read yet.

Its record is a file that grows by a line for each span, so that the same command, after a crash, goes on
where it stopped; and so that vacuum knows which files are under way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.lake.base import StagedFile
from headrace.lake.durable import sync_file, write_file
from headrace.lake.failures import lake_failures

if TYPE_CHECKING:
    from headrace.lake.base import Table
    from headrace.platform.extent import Extent

FOLDER = "candidates"
_HEAD = ("run_id", "start", "end", "silver_version", "began_at")


@dataclass(frozen=True, slots=True)
class Part:
    """The steps of one span.

    Parameters
    ----------
    since, until : int
        The span, in microseconds.
    opening : bool
        Whether each known entity was given a step at `since`.
    steps : int
        How many there are.
    carry_digest : str
        Of what is carried on from `until`.
    files : tuple of StagedFile
        Where they are.
    """

    since: int
    until: int
    opening: bool
    steps: int
    carry_digest: str
    files: tuple[StagedFile, ...]


@dataclass(slots=True)
class Candidate:
    """What a run has written so far.

    Parameters
    ----------
    path : Path
        Its record.
    run_id : str
        The run, named in the commit.
    start, end, silver_version : int
        What the run was asked for, and the version of silver that it reads.
    began_at : int
        When it began by this machine's clock, as the times of its files are, in microseconds.
    parts : list of Part
        What is done, in order of time and without gaps.
    """

    path: Path
    run_id: str
    start: int
    end: int
    silver_version: int
    began_at: int
    parts: list[Part] = field(default_factory=list)

    @classmethod
    def resume_or_begin(cls, folder: Path, extent: Extent, run_id: str) -> Candidate:
        """Take over an unfinished run of the same span of the same rows, or begin a new one."""
        wanted = (extent.start, extent.end, extent.silver_version)
        for found in candidates(folder):
            if (found.start, found.end, found.silver_version) == wanted:
                found.write()
                return found
        made = cls(folder / FOLDER / f"{run_id}.jsonl", run_id, *wanted, time.time_ns() // 1_000)
        made.write()
        return made

    @property
    def reached(self) -> int:
        """How far the run has come."""
        return self.parts[-1].until if self.parts else self.start

    @property
    def files(self) -> list[StagedFile]:
        """Every file of it."""
        return [file for part in self.parts for file in part.files]

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return sum(part.steps for part in self.parts)

    def add(self, part: Part) -> None:
        """Note that a span is done, durably."""
        with lake_failures("write", self.path):
            with self.path.open("ab") as record:
                record.write(_line(_plain(part)))
            sync_file(self.path)
        self.parts.append(part)

    def write(self) -> None:
        """Write the record anew, without what a crash has left of a last line."""
        documents = [{name: getattr(self, name) for name in _HEAD}, *map(_plain, self.parts)]
        with lake_failures("write", self.path):
            write_file(self.path, b"".join(map(_line, documents)))

    def forget(self) -> None:
        """Remove the record: what it names is published, or gone."""
        with lake_failures("write", self.path):
            self.path.unlink(missing_ok=True)

    def discard(self, table: Table) -> None:
        """Remove its files, then the record."""
        with lake_failures("delete", self.path):
            table.discard(self.files)
        self.forget()


def candidates(folder: Path) -> Iterator[Candidate]:
    """All candidates of a definition, whether their runs go on or not."""
    place = folder / FOLDER
    for path in sorted(place.glob("*.jsonl")) if place.is_dir() else ():
        found = _read(path)
        if found is not None:
            yield found


def _read(path: Path) -> Candidate | None:
    """A candidate as its record tells; a line that a crash cut short is left out with what follows."""
    with lake_failures("read", path):
        lines = path.read_bytes().split(b"\n") if path.exists() else []
    documents = list(_whole(lines))
    if not documents or set(documents[0]) != set(_HEAD):
        return None
    found = Candidate(path, **documents[0])
    found.parts = [_part(document) for document in documents[1:]]
    return found


def _whole(lines: list[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines[:-1]:  # what follows the last end of a line was cut short
        try:
            document = json.loads(line)
        except ValueError:
            return
        if not isinstance(document, dict):
            return
        yield document


def _line(document: dict[str, Any]) -> bytes:
    return f"{json.dumps(document)}\n".encode()


def _plain(part: Part) -> dict[str, Any]:
    fields = {name: getattr(part, name) for name in part.__slots__}
    return {**fields, "files": [file.to_json() for file in part.files]}


def _part(document: dict[str, Any]) -> Part:
    files = tuple(StagedFile.from_json(file) for file in document.pop("files"))
    return Part(files=files, **document)
