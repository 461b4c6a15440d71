"""Removing what nobody needs any more: files of old versions, of given-up candidates, and of killed runs.

Kept are what is served, the newest versions, those that a manifest pins, and what is under way.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from headrace.errors import ConflictError, UnknownNameError
from headrace.lake.base import VacuumReport
from headrace.platform.candidate import Candidate, candidates
from headrace.platform.crash_points import crash_point
from headrace.platform.extent import candidate_lock
from headrace.platform.gold import Gold, state_folder
from headrace.platform.online_loading import forget_namespace
from headrace.platform.pinned import pinned_fingerprints
from headrace.platform.registering import ROLLBACK, Turn, turn
from headrace.platform.turns import ingest_turn
from headrace.types import DAY

if TYPE_CHECKING:
    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context
    from headrace.registry.base import Publication

KEEP: Final = 10
CANDIDATE_LIFE_US: Final = 7 * DAY
"""So long a candidate waits for the command that goes on with it."""


def vacuum(
    context: Context, name: str | None = None, *, keep: int = KEEP, dry_run: bool = False
) -> dict[str, VacuumReport]:
    """Remove files that nobody needs, of all tables or of those of one source or view.

    Parameters
    ----------
    context : Context
        The project.
    name : str, optional
        A source or a view.
    keep : int
        How many of a view's newest versions stay, of those that brought steps; at least 1.
    dry_run : bool
        Only say what would go.

    Returns
    -------
    dict of str to VacuumReport
        By table.

    Raises
    ------
    UnknownNameError
        If there is no such source or view.
    ConflictError
        If a source is being ingested.
    """
    definitions = context.definitions
    known = [*definitions.sources, *definitions.views]
    if name is not None and name not in known:
        raise UnknownNameError.of("source or view", name, known, "this project")
    reports: dict[str, VacuumReport] = {}
    for view in definitions.views.values():
        if name in (None, view.name):
            reports |= _vacuumed_view(context, view, max(keep, 1), dry_run)
    for source in definitions.sources:
        if name in (None, source):
            reports |= _vacuumed_source(context, source, dry_run)
    return reports


@dataclass(frozen=True, slots=True)
class _Kept:
    """What of a view's publications stays."""

    publications: dict[str, list[Publication]]
    """By definition, those that stay."""
    others: list[Publication]


def _vacuumed_view(context: Context, view: FeatureView, keep: int, dry_run: bool) -> dict[str, VacuumReport]:
    reports = {}
    with turn(context, Gold.of(context, view)) as mine:
        kept = _kept(context, view.name, keep)
        for fingerprint in {p.fingerprint for p in context.registry.publications(view.name)} | {mine.gold.fingerprint}:
            gold = Gold(view, fingerprint, context.lake.table("gold", view.name, fingerprint))
            if gold.table.exists():
                own = [p for p in kept.others if p.fingerprint == fingerprint]
                reports[f"gold/{view.name}/{fingerprint}"] = _vacuumed_gold(
                    mine, gold, kept.publications[fingerprint], own, dry_run
                )
        if view.online and not dry_run:
            _forget_definitions(context, view.name)
    return reports


def _forget_definitions(context: Context, view: str) -> None:
    """Remove from the online store what it has of definitions that nobody reads."""
    serving = context.registry.serving().get(view)
    read = pinned_fingerprints(context, view) | ({serving.fingerprint} if serving is not None else set())
    for fingerprint in {p.fingerprint for p in context.registry.publications(view)} - read:
        forget_namespace(context.online, fingerprint)


def _kept(context: Context, view: str, keep: int) -> _Kept:
    published = [p for p in context.registry.publications(view) if not p.vacuumed]
    serving = context.registry.serving().get(view)
    pinned = {(pin.fingerprint, pin.table_version) for pin in context.registry.pins() if pin.view == view}
    newest = {p.number for p in [p for p in published if p.steps or p.kind == ROLLBACK][-keep:] + published[-1:]}
    stays: dict[str, list[Publication]] = defaultdict(list)
    others = []
    for p in published:
        wanted = p.number in newest or (serving is not None and p.number == serving.number)
        if wanted or (p.fingerprint, p.table_version) in pinned:
            stays[p.fingerprint].append(p)
        else:
            others.append(p)
    return _Kept(stays, others)


def _vacuumed_gold(
    mine: Turn, gold: Gold, kept: list[Publication], others: list[Publication], dry_run: bool
) -> VacuumReport:
    started = time.time_ns() // 1_000
    versions = [p.table_version for p in kept]
    way = _under_way(mine.context, gold, dry_run)
    stays = {file.path for version in {*versions, gold.table.version()} for file in gold.table.files(version)}
    gone = [p.number for p in others if any(file.path not in stays for file in gold.table.files(p.table_version))]
    if not dry_run and gone:
        mine.lease.check()
        mine.context.registry.mark_vacuumed(gold.view.name, gone, token=mine.lease.token)
        crash_point("before vacuum")
    report = gold.table.vacuum(
        versions,
        newer_than_us=min([started, *(candidate.began_at for candidate in way.running)]),
        spare={file.path for candidate in (*way.running, *way.waiting) for file in candidate.files},
        dry_run=dry_run,
    )
    crash_point("after vacuum")
    return report


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """The candidates of a definition: computed now, or waiting for the command that goes on with them."""

    running: list[Candidate]
    waiting: list[Candidate]


def _under_way(context: Context, gold: Gold, dry_run: bool) -> _UnderWay:
    """What is under way; candidates that were given up are removed.

    A running one may have written files that its record does not name yet.
    """
    found = _UnderWay([], [])
    now = time.time_ns() // 1_000
    for candidate in candidates(state_folder(context.lake, gold)):
        try:
            with context.lake.lock(candidate_lock(gold, candidate.start, candidate.end)):
                if now - candidate.began_at < CANDIDATE_LIFE_US or dry_run:
                    found.waiting.append(candidate)
                else:
                    candidate.discard(gold.table)
        except ConflictError:
            found.running.append(candidate)
    return found


def _vacuumed_source(context: Context, source: str, dry_run: bool) -> dict[str, VacuumReport]:
    """Files of killed runs: no version refers to them. Every version of what was ingested stays."""
    reports = {}
    with ingest_turn(context.lake, source):
        for layer in ("bronze", "silver"):
            table = context.lake.table(layer, source)
            if table.exists():
                started = time.time_ns() // 1_000
                reports[f"{layer}/{source}"] = table.vacuum_orphans(newer_than_us=started, dry_run=dry_run)
    return reports
