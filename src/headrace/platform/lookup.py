"""Finding, for many questions, the steps in force: run after run of files, from the newest on.

A run is a stretch of time whose steps lie together; the runs of a gold table follow each other in time. So
the step in force is in the newest run that begins by the asked time and knows the entity. Each run is
read once, and what was found leaves the search. Files are written sorted by entity and time, so
nothing is sorted here but runs of several files that share a stretch of time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from headrace.lake.reading import collect
from headrace.platform.answers import Answers
from headrace.timeline.arrays import Bools, Ints
from headrace.timeline.asof import NOT_FOUND, as_of
from headrace.types import BEGINNING, instant

if TYPE_CHECKING:
    from headrace.lake.base import DataFile, Table

TIME = "valid_from"
ROWS_A_BATCH = 1_000_000
ROWS_AT_MOST = 20_000_000
THREADS = (os.cpu_count() or 1) + 1
"""One more than cores: while one waits for Polars' own threads to read, another searches."""
_FEW = 100
_WORTH_FILTERING = 100_000


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


def steps_in_force(
    table: Table, version: int, question: Question, columns: Sequence[str]
) -> tuple[pl.DataFrame, Bools]:
    """For each question the step in force.

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

    Returns
    -------
    steps : frame
        `columns`, one row a question; null where there is no step yet.
    there : bool array
        Where there is one.
    """
    wanted = list(dict.fromkeys([*question.keys.columns, TIME, *columns]))
    steps = _Steps(table, version, _runs(table.files(version)), wanted)
    schema = pl.DataFrame(schema=table.schema()).select(columns).schema
    parts = _parts(question, steps)
    found = [_found(steps, question.take(part), schema, narrow=len(parts) > 1) for part in parts]
    if len(parts) == 1:
        return found[0]
    order = np.argsort(np.concatenate(parts))
    return pl.concat([frame for frame, _ in found])[pl.Series(order)], np.concatenate([t for _, t in found])[order]


def steps_at(steps: pl.DataFrame, question: Question, columns: Sequence[str]) -> tuple[pl.DataFrame, Bools]:
    """The same, of steps in memory."""
    search = _Search(question, np.array([BEGINNING], dtype=np.int64), steps.select(columns).schema)
    search.take(search.look(0, steps))
    return search.answers.frame(), search.answers.there


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

    def newest_first(
        self, search: Future[_Search], newest: int, keep: pl.Expr | None, threads: ThreadPoolExecutor
    ) -> Iterator[_Looked]:
        """Read and search the runs up to `newest`, a few ahead of who takes the results."""
        ahead: deque[Future[list[_Looked]]] = deque()
        for batch in _batches(self.runs[: newest + 1], 0 if keep is not None else ROWS_A_BATCH):
            ahead.append(threads.submit(self._looked, batch, search, keep))
            if len(ahead) > THREADS:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()

    def _looked(self, batch: list[int], search: Future[_Search], keep: pl.Expr | None) -> list[_Looked]:
        frames = self._read(batch, keep)
        return [search.result().look(number, frame) for number, frame in zip(batch, frames, strict=True)]

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


def _found(steps: _Steps, question: Question, schema: pl.Schema, *, narrow: bool) -> tuple[pl.DataFrame, Bools]:
    starts = np.array([run.start for run in steps.runs], dtype=np.int64)
    total = sum(run.rows for run in steps.runs)
    # Small runs are read together instead: a filtered one could no longer be told from its neighbours.
    few = len(question.time) * _FEW < total and total > len(steps.runs) * _WORTH_FILTERING
    keep = _bounds(question) if narrow or few else None
    newest = int(np.searchsorted(starts, question.time.max(initial=BEGINNING), side="right")) - 1
    with ThreadPoolExecutor(max_workers=THREADS) as threads:
        ready = threads.submit(_Search, question, starts, schema)  # while the first runs are read
        for looked in steps.newest_first(ready, newest, keep, threads):
            ready.result().take(looked)
            if not ready.result().goes_on(looked.run):
                threads.shutdown(cancel_futures=True)
                break
    answers = ready.result().answers
    return answers.frame(), answers.there


def _bounds(question: Question) -> pl.Expr | None:
    """A condition on the first key that saves decoding: files are sorted by it."""
    if not question.keys.columns:
        return None
    first = question.keys.to_series(0)
    if first.null_count() == len(first):
        return None
    return pl.col(first.name).is_between(pl.lit(first.min()), pl.lit(first.max()))


@dataclass(frozen=True, slots=True)
class _Looked:
    """A run in which its own questions were looked up: those with times before the next run begins."""

    run: int
    slices: _Slices
    left: Ints


class _Search:
    """Questions that are still open, and what has been found.

    Questions are put into the order of runs: their places below are those in this order.
    """

    def __init__(self, question: Question, starts: Ints, schema: pl.Schema) -> None:
        self.keys, self.answers = question.keys.columns, Answers(schema, len(question.time))
        self.columns = list(schema)
        self.entities = _Entities.of(question.keys, len(question.time))
        number = self.entities.numbers(question.keys, len(question.time))
        newest = np.searchsorted(starts, question.time, side="right") - 1
        newest[number < 0] = NOT_FOUND
        # Numpy sorts small whole numbers by counting.
        self._order = np.argsort((newest + 1).astype(np.min_scalar_type(len(starts) + 1)), kind="stable")
        self._number, self._time = number[self._order], question.time[self._order]
        self._cuts = np.searchsorted(newest[self._order], np.arange(len(starts) + 1))
        self._open = np.zeros(0, dtype=np.int64)

    def goes_on(self, run: int) -> bool:
        """Whether runs before this one are of interest."""
        return bool(len(self._open)) or bool(self._cuts[run] > self._cuts[0])

    def look(self, run: int, steps: pl.DataFrame) -> _Looked:
        """Look a run's own questions up: any run at any time, in any thread."""
        slices = _Slices.of(steps, self.keys, self.entities)
        return _Looked(run, slices, self._left(slices, np.arange(self._cuts[run], self._cuts[run + 1])))

    def take(self, looked: _Looked) -> None:
        """Look up in a run what newer runs had left: from the newest run on."""
        self._open = np.concatenate([looked.left, self._left(looked.slices, self._open)])

    def _left(self, slices: _Slices, asked: Ints) -> Ints:
        """Answer questions from a run; gives those that it does not answer."""
        number = self._number[asked]
        step = as_of(slices.time, slices.low[number], slices.high[number], self._time[asked])
        there: Bools = step != NOT_FOUND
        rows = pl.Series(step[there].astype(np.uint32))
        self.answers.fill(self._order[asked[there]], slices.steps.select(self.columns)[rows])
        return asked[~there]


@dataclass(frozen=True, slots=True)
class _Slices:
    """Steps, each entity's next to each other and in time: those of entity i are ``low[i] … high[i] - 1``."""

    steps: pl.DataFrame
    time: Ints
    low: Ints
    high: Ints

    @classmethod
    def of(cls, steps: pl.DataFrame, keys: list[str], entities: _Entities) -> _Slices:
        """Find the slices of a run; it is sorted first, if it is not in that order."""
        time = steps[TIME].dt.epoch("us").to_numpy()
        begins = _begins(steps, keys)
        heads = np.flatnonzero(begins)
        first_keys = steps.select(keys)
        first_keys = first_keys[pl.Series(heads.astype(np.uint32))] if keys else first_keys
        number = entities.numbers(first_keys, len(heads))
        known = number != NOT_FOUND
        number, first, last = number[known], heads[known], np.append(heads, len(steps))[1:][known]
        low, high = np.zeros(entities.n, dtype=np.int64), np.zeros(entities.n, dtype=np.int64)
        low[number], high[number] = first, last
        together, ascending = np.all(low[number] == first), np.all((time[1:] >= time[:-1]) | begins[1:])
        if together and ascending:
            return cls(steps, time, low, high)
        return cls.of(steps.sort([*keys, TIME]), keys, entities)


def _begins(steps: pl.DataFrame, keys: list[str]) -> Bools:
    """Whether each row has another key than the one before it."""
    changes: Bools = np.zeros(len(steps), dtype=bool)
    changes[:1] = True
    for column in steps.select(keys):
        if column.dtype.is_integer():
            values = column.to_numpy()
            changes[1:] |= values[1:] != values[:-1]
        else:
            changes[1:] |= column[1:].ne_missing(column[:-1]).to_numpy()
    return changes


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
            return np.asarray(np.where((offset >= 0) & (offset < self.n), offset, NOT_FOUND))
        if self.table is None:
            return np.zeros(n, dtype=np.int64)
        joined = keys.join(self.table, on=keys.columns, how="left", maintain_order="left")
        return np.asarray(joined["_hr_number"].cast(pl.Int64).fill_null(NOT_FOUND).to_numpy())
