"""What must hold of a view's publications: numbered one by one, audited, readable, and online what is served."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from benchmarks.killing.findings import BEHIND, GONE, MISNUMBERED, UNAUDITED, Finding
from headrace.definitions.views import FeatureView
from headrace.platform import Platform
from headrace.platform.gold import DAY_COLUMN, Gold
from headrace.platform.online_heads import read_head
from headrace.quality.audit import audit
from headrace.registry.base import Publication


def misnumbered(publications: tuple[Publication, ...]) -> Iterator[Finding]:
    """What is wrong with the numbers, runs, versions and stamps of a view's publications."""
    for count, publication in enumerate(publications, start=1):
        if publication.number != count:
            yield Finding(MISNUMBERED, f"{publication.view}: publication {count} has number {publication.number}")
    runs = [publication.run for publication in publications]
    for run in {run for run in runs if runs.count(run) > 1}:
        yield Finding(MISNUMBERED, f"{publications[0].view}: run {run} was published twice")
    for one, other in pairwise(publications):
        grows = other.table_version > one.table_version and other.generation >= one.generation
        if not grows or other.token < one.token:
            yield Finding(
                MISNUMBERED, f"{one.view}: publication {other.number} is not newer than {one.number}: {other}"
            )


def unaudited(platform: Platform, publication: Publication) -> Iterator[Finding]:
    """Whether a publication's steps fail a check of its view, all of them looked at again."""
    view = platform.definitions.view(publication.view)
    steps = _gold(platform, view, publication).scan()
    for failure in audit(view.place, view.checks, steps, DAY_COLUMN).failures:
        yield Finding(UNAUDITED, f"{view.name}, version {publication.number}: {failure}")


def unsettled(platform: Platform) -> Iterator[Finding]:
    """What is wrong where every command has ended: online is what is served, and what vacuum kept can be read."""
    registry = platform.context.registry
    for view in platform.definitions.views.values():
        publications, serving = registry.publications(view.name), registry.serving().get(view.name)
        yield from misnumbered(publications)
        yield from _gone(platform, view, publications)
        head = read_head(platform.context.online, view.name)
        shown = None if head is None else (head.number, head.generation, head.epoch)
        wanted = None if serving is None else (serving.number, serving.generation, serving.table_version)
        if shown != wanted:
            yield Finding(BEHIND, f"{view.name}: {wanted} is served, and {shown} is online, though no command runs")


def _gone(platform: Platform, view: FeatureView, publications: tuple[Publication, ...]) -> Iterator[Finding]:
    for publication in publications:
        gold = _gold(platform, view, publication)
        if not publication.vacuumed and (missing := gold.table.missing_files(publication.table_version)):
            yield Finding(GONE, f"{view.name}, version {publication.number}: {missing[0]} is not there")


def _gold(platform: Platform, view: FeatureView, publication: Publication) -> Gold:
    return Gold.unpublished(platform.context.lake, view).published_as(publication)


def is_needed(platform: Platform, view: str, table_version: int) -> bool:
    """Whether a version of a view's table is a publication that vacuum has kept."""
    found = platform.context.registry.publications(view)
    return any(p.table_version == table_version and not p.vacuumed for p in found)
