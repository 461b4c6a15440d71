"""Optimising tables: few large files, sorted by entity and time. Rows and older versions stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.definitions.sources import Source
from headrace.definitions.views import FeatureView
from headrace.errors import UnknownNameError
from headrace.lake.layout import TARGET_BYTES, OptimizeReport, optimize
from headrace.platform.gold import Gold
from headrace.platform.landing import BATCH, FILE, ROW
from headrace.platform.materialize import catch_up
from headrace.platform.registering import layout_notes, register, turn
from headrace.platform.silver import identity
from headrace.platform.turns import ingest_turn
from headrace.quality.base import KNOWN

if TYPE_CHECKING:
    from headrace.lake.base import Table
    from headrace.platform.context import Context


@dataclass(frozen=True, slots=True)
class Target:
    """A table and the order of its rows.

    Attributes
    ----------
    name : str
        As people name it: ``silver/gps``.
    table : Table
        The table.
    keys : tuple of str
        The columns to sort by first.
    time : str
        The column to sort by within equal keys.
    source : str
        Whose rows they are.
    """

    name: str
    table: Table
    keys: tuple[str, ...]
    time: str
    source: str


def optimize_tables(
    context: Context,
    name: str | None = None,
    *,
    target_bytes: int = TARGET_BYTES,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, OptimizeReport]:
    """Rewrite partitions of many small files: of every table, or of those of one source or view.

    Parameters
    ----------
    context : Context
        The project.
    name : str, optional
        A source or a view.
    target_bytes : int
        How large files should be.
    progress : callable, optional
        Called with the table, its partitions done and their number.

    Returns
    -------
    dict of str to OptimizeReport
        By table; tables that do not exist yet are left out.

    Raises
    ------
    UnknownNameError
        If there is no such source or view.
    ConflictError
        If another writer is at work on a table.
    OnlineStoreError
        If gold is optimised, and the online store could not be written.
    """
    definitions = context.definitions
    known = [*definitions.sources, *definitions.views]
    if name is not None and name not in known:
        raise UnknownNameError.of("source or view", name, known, "this project")
    reports = {}
    for target in _targets(context, name):
        if target.table.exists():
            with ingest_turn(context.lake, target.source):
                told = _told(progress, target.name)
                reports[target.name] = optimize(target.table, target.keys, target.time, target_bytes, told)
    for view in context.definitions.views.values():
        if name in (None, view.name) and Gold.of(context, view).pinned is not None:
            reports[f"gold/{view.name}"] = _optimized_gold(context, view, target_bytes, progress)
            catch_up(context, view.name)
    return reports


Progress = Callable[[str, int, int], None]


def _told(progress: Progress | None, table: str) -> Callable[[int, int], None]:
    return lambda done, total: None if progress is None else progress(table, done, total)


def _optimized_gold(
    context: Context, view: FeatureView, target_bytes: int, progress: Progress | None
) -> OptimizeReport:
    """The same rows in other files are a publication too: readers pin versions."""
    with turn(context, Gold.of(context, view)) as mine:
        if mine.gold.publication is None:
            return OptimizeReport()
        report = optimize(
            mine.gold.table, tuple(view.entity_keys), "valid_from", target_bytes, _told(progress, f"gold/{view.name}"),
            layout_notes(mine), mine.lease.check,
        )  # fmt: skip
        if report.partitions:
            register(mine, mine.head)
        return report


def _targets(context: Context, name: str | None) -> Iterator[Target]:
    for source in context.definitions.sources.values():
        if name in (None, source.name):
            yield from targets_of(context, source)


def targets_of(context: Context, source: Source) -> tuple[Target, Target]:
    """The bronze and the silver of a source."""
    bronze, silver = (context.lake.table(layer, source.name) for layer in ("bronze", "silver"))
    keys, time = _silver_keys(context, source), source.event_time or KNOWN
    return (
        Target(f"bronze/{source.name}", bronze, (BATCH, FILE), ROW, source.name),
        Target(f"silver/{source.name}", silver, keys, time, source.name),
    )


def _silver_keys(context: Context, source: Source) -> tuple[str, ...]:
    """The keys of the first view that finds its own in the source's columns; else what tells rows apart."""
    views: list[FeatureView] = [view for view in context.definitions.views.values() if view.source.name == source.name]
    keys = [tuple(view.key_columns.values()) for view in views]
    return next((columns for columns in keys if columns and set(columns) <= set(source.schema)), identity(source))
