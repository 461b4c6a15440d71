"""Comparing what was served with what held offline at the time of each request, and explaining each difference."""

from __future__ import annotations

import time as clock
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from headrace.errors import UnknownNameError
from headrace.platform.online_loading import is_streamed
from headrace.platform.reading import values_at
from headrace.platform.served_log_frames import REQUEST, WORKER
from headrace.platform.served_log_tables import logged_services
from headrace.platform.verify_served_causes import WHY, Cells, Group, source_rows, values_by
from headrace.platform.verify_served_clock import offsets_of
from headrace.platform.verify_served_report import CAUSES, LISTED, ServedDifference, ServedReport
from headrace.platform.verify_served_rows import (
    NUMBER,
    Asking,
    ServedRows,
    lost_of,
    read_logs,
    views_of,
)  # fmt: skip
from headrace.platform.verify_served_versions import Versions
from headrace.platform.verify_sizes import Sizes
from headrace.platform.verify_values import NOTHING, Comparer, Values
from headrace.timeline.packed import PRESENT
from headrace.timeline.packed import STALE as STALE_STATUS
from headrace.types import instant

if TYPE_CHECKING:
    from datetime import date, datetime

    from headrace.platform.context import Context
    from headrace.platform.gold import Gold
    from headrace.timeline.arrays import Ints

    Time = str | int | date | datetime

__all__ = ["ServedDifference", "ServedReport", "verify_served"]

NOT_YET, UNPUBLISHED = "later than offline has come", "of a time at which nothing was published"


def verify_served(
    context: Context,
    service: str | None = None,
    *,
    start: Time | None = None,
    end: Time | None = None,
    sample: float | None = None,
) -> ServedReport:
    """Compare each logged answer with the offline truth at the time of its request.

    The truth is what a training set reads: the newest publication of the definition that was in force then. Answers for
    times which that does not cover yet are counted apart.

    Parameters
    ----------
    context : Context
        The project.
    service : str, optional
        Whose log; all by default. ``request`` stands for features that were asked for one by one.
    start, end : time, optional
        Answers given from and before; all by default.
    sample : float, optional
        Which share of the logged requests; all by default.

    Returns
    -------
    ServedReport

    Raises
    ------
    UnknownNameError
        If nothing is logged of the service.
    LakeError, RegistryError
        If a table or the registry can't be read.

    Notes
    -----
    The part of the log that is read is held in memory.
    """
    began, logged = clock.monotonic(), logged_services(context.lake)
    if service is not None and service not in logged:
        raise UnknownNameError.of("log of service", service, logged, "what was served")
    asking = Asking(
        None if start is None else instant(start),
        None if end is None else instant(end),
        1.0 if sample is None else sample,
    )
    tally = _Tally()
    chosen = logged if service is None else [service]
    for name in chosen:
        for log in read_logs(context, name, asking):
            tally.add_log(log)
            for part in views_of(context, name, log):
                if isinstance(part, ServedRows):
                    _compare(context, part, tally)
                else:
                    tally.apart[part[0]] += part[1]
    return tally.report(chosen, clock.monotonic() - began)


@dataclass(slots=True)
class _Tally:
    """What has been counted."""

    requests: int = 0
    rows: int = 0
    lost: int = 0
    comparisons: int = 0
    apart: Counter[str] = field(default_factory=Counter)
    causes: Counter[str] = field(default_factory=Counter)
    listed: list[ServedDifference] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)

    def add_log(self, log: pl.DataFrame) -> None:
        lost = lost_of(log)
        self.lost += lost
        answers = log.filter(pl.col(REQUEST).is_not_null())
        self.requests += answers[REQUEST].n_unique()
        self.rows += len(answers)
        self.offsets |= offsets_of(answers)

    def report(self, services: list[str], seconds: float) -> ServedReport:
        by_cause = {name: self.causes[name] for name in CAUSES if self.causes[name]}
        apart = {reason: number for reason, number in sorted(self.apart.items()) if number}
        equal = self.comparisons - sum(by_cause.values())
        return ServedReport(
            services, self.requests, self.rows, self.comparisons, equal, apart, self.lost, self.listed, by_cause,
            self.offsets, seconds,
        )  # fmt: skip


def _compare(context: Context, rows: ServedRows, tally: _Tally) -> None:
    """Compare what was served of one view, for each definition that was in force."""
    versions = Versions(context, rows.chosen)
    force = versions.in_force(rows.points.time)
    if versions.forces and is_streamed(context, rows.chosen.view.name):
        force = np.maximum(force, 0)  # a stream serves what batch publishes later
    fingerprints = [each.fingerprint for each in versions.forces]
    tally.apart[UNPUBLISHED] += _asked(rows.take(np.flatnonzero(force < 0)))
    for fingerprint in dict.fromkeys(fingerprints):
        own = [place for place, each in enumerate(fingerprints) if each == fingerprint]
        place = np.flatnonzero(np.isin(force, own))
        gold = versions.newest(fingerprint)
        if not len(place):
            continue
        if gold is None:
            tally.apart[UNPUBLISHED] += _asked(rows.take(place))
            continue
        _compare_with(context, _defined(rows.take(place), gold), force[place], gold, versions, tally)


def _defined(rows: ServedRows, gold: Gold) -> ServedRows:
    """The rows with the features that a definition has."""
    names = tuple(name for name in rows.chosen.feature_names if name in gold.view.features)
    places = [rows.chosen.feature_names.index(name) for name in names]
    chosen = replace(rows.chosen, view=gold.view, names=names)
    return replace(rows, chosen=chosen, found=Values(rows.found.frame.select(names), rows.found.codes[:, places]))


def _asked(rows: ServedRows) -> int:
    return int((rows.found.codes != NOTHING).sum())


def _compare_with(
    context: Context, rows: ServedRows, force: Ints, gold: Gold, versions: Versions, tally: _Tally
) -> None:
    """Compare with what a definition says: as published, or where its successor has gone further, recomputed."""
    covered = gold.complete().contains(rows.points.time)
    since = gold.computed().intervals[-1][1]
    further = ~covered & (rows.points.time >= since) & (rows.points.time < versions.reach)
    tally.apart[NOT_YET] += _asked(rows.take(np.flatnonzero(~covered & ~further)))
    if further.any():
        place = np.flatnonzero(further)
        own = rows.take(place)
        steps = source_rows(context, gold, versions.reach).steps(own.points.entities)
        truth = values_by(own.chosen, steps, own.points, own.points.time)
        _compare_to(truth, context, own, force[place], gold, versions, tally)
    place = np.flatnonzero(covered)
    rows, force = rows.take(place), force[place]
    truth = Values.judged(rows.chosen.feature_names, values_at(gold, rows.chosen, rows.points.question, "null"))
    _compare_to(truth, context, rows, force, gold, versions, tally)


def _compare_to(
    truth: Values, context: Context, rows: ServedRows, force: Ints, gold: Gold, versions: Versions, tally: _Tally
) -> None:
    comparer = _comparer(context, rows, gold, versions.reach)
    there = rows.found.codes != NOTHING
    tally.comparisons += int(there.sum())
    differs = comparer.differs(_plain(rows.found), truth, rows.points) & there
    different = np.flatnonzero(differs.any(axis=1))
    right = _last_right(rows, differs)
    for part in _groups(rows, force, different):
        some, own = rows.take(part), truth.take(part)
        logged = versions.by_number(int(some.told[NUMBER][0] or 0))
        in_force = versions.forces[int(force[part[0]])]
        group = Group(
            context, some, own, gold, versions, logged, in_force, is_streamed(context, gold.view.name), right[part],
            _comparer(context, some, gold, versions.reach),
        )  # fmt: skip
        _count(tally, group, differs[part])


def _plain(found: Values) -> Values:
    return replace(found, codes=np.where(found.codes == STALE_STATUS, PRESENT, found.codes).astype(np.uint8))


def _comparer(context: Context, rows: ServedRows, gold: Gold, until: int) -> Comparer:
    return Comparer(rows.compared_view(), Sizes(source_rows(context, gold, until), rows.points.entities))


def _groups(rows: ServedRows, force: Ints, different: Ints) -> Iterator[Ints]:
    """The places of differing rows, by what they were read from and what was in force."""
    if not len(different):
        return
    numbers = rows.told[NUMBER].fill_null(0).to_numpy()[different]
    frame = pl.DataFrame({"place": different, "logged": numbers, "force": force[different]})
    for part in frame.partition_by("logged", "force", maintain_order=True):
        yield part["place"].to_numpy()


def _last_right(rows: ServedRows, differs: Cells) -> Ints:
    """For each row, when an earlier answer of its entity was right in all that it said; 0 where none was."""
    is_right = pl.Series(~differs.any(axis=1))
    frame = pl.DataFrame({"entity": rows.points.entity, "time": rows.points.time}).with_columns(
        pl.when(is_right).then(pl.col("time")).otherwise(0).alias("right")
    )
    before = pl.col("right").cum_max().shift(1, fill_value=0).over("entity")
    ordered = frame.with_row_index("place").sort("time").with_columns(before)
    return ordered.sort("place")["right"].to_numpy()


def _count(tally: _Tally, group: Group, differs: Cells) -> None:
    causes = group.causes()
    for cause, name in enumerate(CAUSES):
        found, columns = np.nonzero(differs & (causes == cause))
        room = LISTED - sum(each.cause == name for each in tally.listed) if len(found) else 0
        tally.causes[name] += len(found)
        pairs = zip(found[:room].tolist(), columns[:room].tolist(), strict=True)
        tally.listed += [_difference(group, row, column, cause) for row, column in pairs]


def _difference(group: Group, row: int, column: int, cause: int) -> ServedDifference:
    rows, points = group.rows, group.rows.points
    key = points.entities.row(int(points.entity[row]), named=True) if points.entities.columns else {}
    name = rows.chosen.feature_names[column]
    told = rows.told
    return ServedDifference(
        rows.service, told[REQUEST][row], key, int(points.time[row]), rows.chosen.columns[name],
        rows.found.reading(row, column), group.truth.reading(row, column), told[NUMBER][row], told[WORKER][row],
        CAUSES[cause], WHY[cause],
    )  # fmt: skip
