"""Which entities' records differ between two versions of a view's gold: found from the files that differ."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from headrace.engines.polars_parts import begun_at_the_end
from headrace.lake.reading import collect
from headrace.platform.gold import DAY_COLUMN
from headrace.platform.lookup import TIME
from headrace.platform.online_content import frontier_carry

if TYPE_CHECKING:
    from headrace.lake.base import DataFile
    from headrace.platform.context import Context
    from headrace.platform.gold import Gold
    from headrace.platform.online_content import Content
    from headrace.platform.online_heads import Head
    from headrace.registry.base import Publication

_THERE = "_hr_there"


def publications_since(context: Context, head: Head | None, wanted: Publication) -> list[Publication] | None:
    """The publications from the one that a head shows to a wanted one; None where only a whole load will do.

    Those in between count too: what was written of them and never shown would be seen with the next head.
    """
    if head is None or head.fingerprint != wanted.fingerprint or head.epoch > wanted.table_version:
        return None
    mine = [p for p in context.registry.publications(wanted.view) if p.fingerprint == wanted.fingerprint]
    between = [p for p in mine if head.epoch <= p.table_version < wanted.table_version]
    found = sorted([*between, wanted], key=lambda p: p.table_version)
    first = found[0]
    shown = (first.generation, first.table_version) == (head.generation, head.epoch)
    return found if shown and not any(p.vacuumed for p in found) else None


def changed_entities(content: Content, publications: Sequence[Publication]) -> pl.DataFrame:
    """The keys of all entities whose records may differ from one of some publications to the next.

    A few may be among them whose records are the same.
    """
    found = [pl.DataFrame(schema=content.schema)]
    for old, new in pairwise(publications):
        if not new.content_of or new.content_of != (old.content_of or old.number):
            found += _changed(content, content.gold.at(old.table_version), content.gold.at(new.table_version))
    return pl.concat(found).unique()


def _changed(content: Content, old: Gold, new: Gold) -> list[pl.DataFrame]:
    before, after = ({file.path: file for file in gold.files()} for gold in (old, new))
    removed = [file for path, file in before.items() if path not in after]
    added = [file for path, file in after.items() if path not in before]
    found = [_differing(content, *days) for days in _by_day(removed, added)]
    carries = [content.carry] if new.version == content.gold.version else [frontier_carry(content.context, new)]
    if removed or old.segments()[-1] not in new.segments():
        # Rows that were known right before the old frontier made steps behind it: in no file, but online.
        carries.append(frontier_carry(content.context, old))
    return [*found, *(begun_at_the_end(new.view, carry, content.schema) for carry in carries)]


def _by_day(removed: list[DataFile], added: list[DataFile]) -> list[tuple[list[DataFile], list[DataFile]]]:
    days = sorted({file.partition[DAY_COLUMN] for file in (*removed, *added)})
    return [
        ([f for f in removed if f.partition[DAY_COLUMN] == day], [f for f in added if f.partition[DAY_COLUMN] == day])
        for day in days
    ]


def _differing(content: Content, removed: list[DataFile], added: list[DataFile]) -> pl.DataFrame:
    """The entities with a step in one of two sets of files that is not in the other."""
    keys = content.schema.names()
    if not removed or not added:
        return _steps(content, [*removed, *added], keys).unique()
    # A step is known by its entity and time.
    own = [*keys, TIME]
    columns = [name for name in content.columns if name != TIME]
    one, other = (_steps(content, files, [*own, *columns]) for files in (removed, added))
    joined = one.with_columns(pl.lit(value=True).alias(_THERE)).join(
        other.with_columns(pl.lit(value=True).alias(_THERE)), on=own, how="full", coalesce=True
    )
    differs = [pl.col(name).ne_missing(pl.col(f"{name}_right")) for name in (*columns, _THERE)]
    return joined.filter(pl.any_horizontal(differs)).select(keys).unique()


def _steps(content: Content, files: list[DataFile], columns: list[str]) -> pl.DataFrame:
    table = content.gold.table
    return collect(table.scan_files(files).select(columns), table, content.gold.version)
