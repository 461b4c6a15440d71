"""A data set through a project of its own: ingested, backfilled, joined to labels, and compared."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from headrace.engines.base import Known
from headrace.platform import Platform
from tests.e2e.real_data.comparison import Comparison, compare
from tests.e2e.real_data.datasets import DataSet
from tests.e2e.real_data.reference import Reference


@dataclass(slots=True)
class Run:
    """A project made for a data set, and what happened in it.

    Attributes
    ----------
    platform : Platform
        The project.
    reference : Reference
        What should have happened.
    counts, rejected : Counter
        Rows of the data set's source, and how many failed for each reason.
    added_columns : dict of str to str
        Columns that the source does not declare.
    steps : int
        Steps in gold, of all views.
    seconds : Counter
        By what was done.
    """

    platform: Platform
    reference: Reference
    counts: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    added_columns: dict[str, str] = field(default_factory=dict)
    steps: int = 0
    seconds: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add the time of a block."""
        started = time.perf_counter()
        yield
        self.seconds[what] += time.perf_counter() - started  # type: ignore[assignment]

    def training_set(self, known: Known = "then") -> pl.DataFrame:
        """All features for the reference's labels."""
        with self.timed("training set"):
            found = self.platform.training_set(self.reference.labels(), "everything", known=known, statuses=True)
        assert isinstance(found, pl.DataFrame)
        return found

    def compared(self, known: Known = "then") -> Comparison:
        """The training set beside the reference."""
        if self.reference.known != known:
            self._evaluate(known)
        return compare(self.platform.definitions.service("everything"), self.training_set(known), self.reference)

    def _evaluate(self, known: Known) -> None:
        with self.timed("reference"):
            self.reference.evaluate(known)


def run(data_set: DataSet, shared_data: Path, root: Path, *, whole: bool = False, n_labels: int = 3000) -> Run:
    """Make a project, let the data set's files arrive, and ingest and backfill after each round of them.

    Parameters
    ----------
    data_set : DataSet
        Which one.
    shared_data : Path
        The directory of the public data.
    root : Path
        An empty folder for the project.
    whole : bool
        Whether all rows are taken, or those of the tests.
    n_labels : int
        How many labels are drawn.
    """
    shutil.copy(data_set.folder / "features.py", root / "features.py")
    (root / "headrace.toml").write_text(f'name = "{data_set.name}"\nmodule = "features"\n')
    platform = Platform.open(root)
    platform.apply()
    made = Run(platform, Reference(data_set, shared_data, whole=whole, n_labels=n_labels))
    for number, deliveries in enumerate(data_set.rounds):
        for delivery in deliveries:
            made.reference.deliver(delivery, root / "landing")
        _ingest(made, data_set)
        _backfill(made, data_set.end if number + 1 == len(data_set.rounds) else None)
    made.steps = _steps(platform)
    made._evaluate("then")
    return made


def _ingest(made: Run, data_set: DataSet) -> None:
    with made.timed("ingest"):
        report = made.platform.ingest()[data_set.source]
    made.counts.update(
        read=report.rows_read, rejected=report.rejected_rows, accepted=report.accepted, duplicates=report.duplicates
    )
    made.rejected.update(report.rejected)
    made.added_columns |= report.added_columns


def _backfill(made: Run, end: str | None) -> None:
    with made.timed("backfill"):
        for view in made.platform.definitions.views:
            made.platform.backfill(view, end=end)


def _steps(platform: Platform) -> int:
    from headrace.platform.gold import Gold

    golds = [Gold.of(platform.context, view) for view in platform.definitions.views.values()]
    return sum(file.rows for gold in golds for file in gold.files())
