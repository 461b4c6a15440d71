"""Finding, for many questions, the steps in force: run after run of files, from the newest on.

A run is a stretch of time whose steps lie together; the runs of a gold table follow each other in time. So
the step in force is in the newest run that begins by the asked time and knows the entity. Each run is
read once, and what was found leaves the search. Files are written sorted by entity and time, so
nothing is sorted here but runs of several files that share a stretch of time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from headrace.lake.reading import collect
from headrace.timeline.arrays import Bools, Ints
from headrace.timeline.asof import NOT_FOUND, as_of
from headrace.types import BEGINNING, instant

if TYPE_CHECKING:
    from headrace.lake.base import DataFile, Table

TIME = "valid_from"
ROWS_A_BATCH = 2_000_000
ROWS_AT_MOST = 20_000_000
_FEW = 100


@dataclass(frozen=True, slots=True)
class Question:
    """For whom and when values are asked.

    Parameters
    ----------
    keys : frame
        The entity's keys, one row a question; no columns for a global view.
    time : int64 array
        In microseconds.
    """

    keys: pl.DataFrame
    time: Ints

    def take(self, place: Ints) -> Question:
        """Some of the questions."""
        # A frame without columns, as a global view's, has no rows to pick.
        return Question(self.keys[pl.Series(place)] if self.keys.columns else self.keys, self.time[place])


def steps_in_force(table: Table, version: int, question: Question, columns: Sequence[str]) -> pl.DataFrame:
    """For each question the step in force, all null where there is none.

    Parameters
    ----------
    table : Table
        Steps: the columns of the keys, ``valid_from`` and `columns`.
    version : int
        Its version.
    question : Question
        For whom and when.
    columns : sequence of str
        What is wanted of a step.
    """
    wanted = list(dict.fromkeys([*question.keys.columns, TIME, *columns]))
    steps = _Steps(table, version, _runs(table.files(version)), wanted)
    empty = pl.DataFrame(schema=table.schema()).select(columns)
    parts = _parts(question, steps)
    found = [_found(steps, question.take(part), columns, empty, narrow=len(parts) > 1) for part in parts]
    return found[0] if len(parts) == 1 else pl.concat(found)[pl.Series(np.argsort(np.concatenate(parts)))]


def steps_at(steps: pl.DataFrame, question: Question, columns: Sequence[str]) -> pl.DataFrame:
    """The same, of steps in memory."""
    search = _Search(question, np.array([BEGINNING], dtype=np.int64))
    search.visit(0, steps, columns)
    return search.answer(steps.select(columns).clear())


@dataclass(frozen=True, slots=True)
class _Run:
    """Files whose steps begin at `start` and end before the next run's."""

    start: int
    files: tuple[DataFile, ...]

    @property
    def rows(self) -> int:
        """How many steps there are."""
        return sum(file.rows for file in self.files)


@dataclass(frozen=True, slots=True)
class _Steps:
    """A version of a table as runs, oldest first, and the columns that are read."""

    table: Table
    version: int
    runs: list[_Run]
    columns: list[str]

    def newest_first(self, newest: int, keep: pl.Expr | None) -> Iterator[tuple[int, pl.DataFrame]]:
        """The rows of each run up to `newest`, a batch being read while the one before is searched."""
        batches = _batches(self.runs[: newest + 1], 0 if keep is not None else ROWS_A_BATCH)
        with ThreadPoolExecutor(max_workers=1) as thread:
            ahead: Future[list[pl.DataFrame]] | None = None
            for index, batch in enumerate(batches):
                frames = (ahead or thread.submit(self._read, batch, keep)).result()
                ahead = thread.submit(self._read, batches[index + 1], keep) if index + 1 < len(batches) else None
                yield from zip(batch, frames, strict=True)

    def _read(self, batch: list[int], keep: pl.Expr | None) -> list[pl.DataFrame]:
        files = [file for number in batch for file in self.runs[number].files]
        scan = self.table.scan_files(files).select(self.columns)
        frame = collect(scan if keep is None else scan.filter(keep), self.table, self.version)
        if len(batch) == 1:
            return [frame]
        ends = np.cumsum([self.runs[number].rows for number in batch]).tolist()
        return [frame[begin:end] for begin, end in pairwise([0, *ends])]


def _runs(files: list[DataFile]) -> list[_Run]:
    """Files whose times overlap are one run; oldest first."""
    if any(TIME not in file.minimum or TIME not in file.maximum for file in files):
        return [_Run(BEGINNING, tuple(files))]
    runs: list[_Run] = []
    end = BEGINNING
    for file in sorted(files, key=lambda f: (f.minimum[TIME], f.path)):
        start = instant(file.minimum[TIME])
        if runs and start <= end:
            runs[-1] = _Run(runs[-1].start, (*runs[-1].files, file))
        else:
            runs.append(_Run(start, (file,)))
        end = max(end, instant(file.maximum[TIME]))
    return runs


def _batches(runs: list[_Run], rows: int) -> list[list[int]]:
    """The numbers of the runs, newest first, by what is read at once: about so many rows."""
    batches: list[list[int]] = []
    room = 0
    for number in reversed(range(len(runs))):
        if not batches or room < runs[number].rows:
            batches.append([])
            room = rows
        batches[-1].append(number)
        room -= runs[number].rows
    return batches


def _parts(question: Question, steps: _Steps) -> list[Ints]:
    """The questions by ranges of entities, so that what a run has for a range fits into memory."""
    n = max(1, -(-max((run.rows for run in steps.runs), default=0) // ROWS_AT_MOST))
    if n == 1 or not question.keys.columns:
        return [np.arange(len(question.time))]
    order = question.keys.with_row_index("_hr_place").sort(question.keys.columns)["_hr_place"]
    return np.array_split(order.cast(pl.Int64).to_numpy(), n)


def _found(
    steps: _Steps, question: Question, columns: Sequence[str], empty: pl.DataFrame, *, narrow: bool
) -> pl.DataFrame:
    search = _Search(question, np.array([run.start for run in steps.runs], dtype=np.int64))
    few = len(question.time) * _FEW < sum(run.rows for run in steps.runs)
    keep = _bounds(question) if narrow or few else None
    for number, rows in steps.newest_first(search.newest, keep):
        search.visit(number, rows, columns)
        if not search.goes_on(number):
            break
    return search.answer(empty)


def _bounds(question: Question) -> pl.Expr | None:
    """A condition on the first key that saves decoding: files are sorted by it."""
    if not question.keys.columns:
        return None
    first = question.keys.to_series(0)
    if first.null_count() == len(first):
        return None
    return pl.col(first.name).is_between(pl.lit(first.min()), pl.lit(first.max()))


class _Search:
    """Questions that are still open, and what has been found."""

    def __init__(self, question: Question, starts: Ints) -> None:
        self.time, self.keys = question.time, question.keys.columns
        self.entities = _Entities.of(question.keys, len(question.time))
        self.number = self.entities.numbers(question.keys, len(question.time))
        newest = np.searchsorted(starts, question.time, side="right") - 1
        newest[self.number < 0] = NOT_FOUND
        self.newest = int(newest.max(initial=NOT_FOUND))
        # Numpy sorts small whole numbers by counting.
        self._order = np.argsort((newest + 1).astype(np.min_scalar_type(len(starts) + 1)), kind="stable")
        self._cuts = np.searchsorted(newest[self._order], np.arange(len(starts) + 1))
        self._open = self._order[:0]
        self._found: list[tuple[Ints, pl.DataFrame]] = []

    def goes_on(self, number: int) -> bool:
        """Whether runs before this one are of interest."""
        return bool(len(self._open)) or self._cuts[number] > self._cuts[0]

    def visit(self, number: int, steps: pl.DataFrame, columns: Sequence[str]) -> None:
        """Look into a run, for the questions that were left and those that begin with it."""
        pending = np.concatenate([self._open, self._order[self._cuts[number] : self._cuts[number + 1]]])
        if not len(pending):
            return
        steps, low, high = self._slices(steps)
        mine = self.number[pending]
        found = as_of(_times(steps), low[mine], high[mine], self.time[pending])
        there = found != NOT_FOUND
        self._open = pending[~there]
        self._found.append((pending[there], steps.select(columns)[pl.Series(found[there])]))

    def _slices(self, steps: pl.DataFrame) -> tuple[pl.DataFrame, Ints, Ints]:
        """Where each entity's steps begin and end; sorted first, if they do not lie together in time."""
        heads = _heads(steps, self.keys)
        low, high = np.zeros(self.entities.n, dtype=np.int64), np.zeros(self.entities.n, dtype=np.int64)
        number = self.entities.numbers(steps.select(self.keys)[pl.Series(heads)], len(heads))
        known = number >= 0
        low[number[known]] = heads[known]
        high[number[known]] = np.append(heads, len(steps))[1:][known]
        together = bool(np.all(low[number[known]] == heads[known]))
        if together and _ascends(_times(steps), heads):
            return steps, low, high
        return self._slices(steps.sort([*self.keys, TIME]))

    def answer(self, empty: pl.DataFrame) -> pl.DataFrame:
        """What was found, in the order of the questions."""
        place = np.concatenate([self._order[:0], *(where for where, _ in self._found)])
        index = np.full(len(self.time), NOT_FOUND, dtype=np.int64)
        index[place] = np.arange(len(place))
        steps = pl.concat([empty, *(frame for _, frame in self._found)], rechunk=True)
        if not len(steps):
            return empty.clear(len(self.time))
        position = pl.Series(index)
        return steps[position if len(place) == len(index) else position.set(position < 0, None)]


def _times(steps: pl.DataFrame) -> Ints:
    return steps[TIME].dt.epoch("us").to_numpy()


def _heads(steps: pl.DataFrame, keys: list[str]) -> Ints:
    """The first row of each stretch of equal keys."""
    if not len(steps):
        return np.zeros(0, dtype=np.int64)
    changes: Bools = np.zeros(len(steps), dtype=bool)
    changes[0] = True
    for column in steps.select(keys):
        changes[1:] |= column[1:].ne_missing(column[:-1]).to_numpy()
    return np.flatnonzero(changes)


def _ascends(time: Ints, heads: Ints) -> bool:
    """Whether times never fall but at heads."""
    falls = np.flatnonzero(time[1:] < time[:-1]) + 1
    return len(falls) <= len(heads) and bool(np.isin(falls, heads, assume_unique=True).all())


@dataclass(frozen=True, slots=True)
class _Entities:
    """The entities of questions as numbers ``0 … n - 1``.

    Whole-number keys that lie close together are their own numbers, less the least; others are joined.
    """

    n: int
    least: int | None
    table: pl.DataFrame | None

    @classmethod
    def of(cls, keys: pl.DataFrame, n_questions: int) -> _Entities:
        """Number the different keys."""
        if not keys.columns:
            return cls(1, None, None)
        only = keys.to_series(0)
        if keys.width == 1 and only.dtype.is_integer() and only.null_count() < len(only):
            least, greatest = int(only.min()), int(only.max())  # type: ignore[arg-type]
            if greatest - least <= 8 * n_questions + 1_000_000:
                return cls(greatest - least + 1, least, None)
        unique = keys.unique().with_row_index("_hr_number")
        return cls(len(unique), None, unique)

    def numbers(self, keys: pl.DataFrame, n: int) -> Ints:
        """Each row's entity, `NOT_FOUND` for a null and for an entity that is not asked for."""
        if self.least is not None:
            offset = (keys.to_series(0).cast(pl.Int64) - self.least).fill_null(NOT_FOUND).to_numpy()
            return np.where((offset >= 0) & (offset < self.n), offset, NOT_FOUND)
        if self.table is None:
            return np.zeros(n, dtype=np.int64)
        joined = keys.join(self.table, on=keys.columns, how="left", maintain_order="left")
        return joined["_hr_number"].cast(pl.Int64).fill_null(NOT_FOUND).to_numpy()
