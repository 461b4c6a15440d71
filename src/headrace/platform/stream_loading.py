"""How a view's lane begins: from what is published of it, or from nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from headrace.definitions.fingerprint import view_fingerprint
from headrace.lake.reading import collect
from headrace.online.expiry import TIME
from headrace.platform.gold import Gold, complete_from, silver_table
from headrace.platform.landing import ARRIVED, DAY
from headrace.platform.leases import publishing
from headrace.platform.masked_keys import key_masks
from headrace.platform.online_content import Content, record_layout
from headrace.platform.online_heads import Head, read_namespace
from headrace.platform.silver import silver_schema
from headrace.platform.stream_sinks import EVERY_EPOCH
from headrace.quality.base import KNOWN, UTC
from headrace.streaming.lane import CUT_OFF, Lane
from headrace.types import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headrace.definitions.sources import Source
    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context
    from headrace.streaming.identities import Identities


def streamed_views(context: Context, source: Source) -> list[FeatureView]:
    """The views of a source that are served online."""
    return [view for view in context.definitions.views.values() if view.source.name == source.name and view.online]


def empty_lane(context: Context, view: FeatureView) -> Lane:
    """A lane that knows nothing yet, of the generation behind that of the records in the store."""
    fingerprint = view_fingerprint(view)
    own = read_namespace(context.online, fingerprint)
    no_rows = pl.DataFrame(schema=silver_schema(view.source))
    return Lane(view, fingerprint, record_layout(view, no_rows), 1 if own is None else own.generation + 1)


def empty_lanes(context: Context, source: Source) -> list[Lane]:
    """An empty lane for each streamed view of a source, as it is defined now."""
    return [empty_lane(context, view) for view in streamed_views(context, source)]


def loaded_lane(context: Context, view: FeatureView) -> Lane:
    """A lane with the state of what is published of a view under its definition; an empty one, if nothing is."""
    lane, gold = empty_lane(context, view), Gold.of(context, view)
    serving = context.registry.serving().get(view.name)
    if serving is not None and serving.fingerprint == gold.fingerprint and not serving.vacuumed:
        gold = gold.published_as(serving)
    if gold.pinned is None or gold.publication is None:
        return lane
    content = Content.of(context, gold)
    cut = pl.lit(content.cut)
    parts = [steps.with_columns((pl.col(TIME).dt.epoch("us") <= cut).alias(CUT_OFF)) for steps, _ in content.steps()]
    return replace(
        lane, carry=content.carry, written=pl.concat(parts) if parts else None, floor=content.frontier,
        loaded_at=_loaded_at(context, gold), publication=gold.publication.number,
    )  # fmt: skip


def with_loaded(context: Context, source: Source, ids: Identities, lanes: Sequence[Lane]) -> Identities:
    """Identities with those of the rows that some lanes were loaded with: a row may come by files and by the log.

    Where their publications differ, with those of the rows that each has: no row is taken for a copy that is none.
    """
    silver = silver_table(context.lake, source)
    floor, loaded_at = min(lane.floor for lane in lanes), min(lane.loaded_at for lane in lanes)
    if not ids.columns or floor <= BEGINNING or not silver.exists() or ARRIVED not in silver.schema():
        return ids
    since, until = (pl.lit(max(at, 0)).cast(UTC) for at in (floor - ids.within_us, floor))
    known = (pl.col(KNOWN) >= since) & (pl.col(KNOWN) < until)
    rows = silver.scan().filter(pl.col(DAY).is_between(since.dt.date(), until.dt.date()), known)
    rows = rows.filter(pl.col(ARRIVED).dt.epoch("us") < loaded_at).select(*ids.columns, KNOWN)
    return ids.with_rows(collect(rows, silver), floor)


def _loaded_at(context: Context, gold: Gold) -> int:
    """When the newest rows that a publication was computed from had been ingested: what a log took then it has not."""
    assert gold.publication is not None
    silver = silver_table(context.lake, gold.view.source)
    version = max((each.silver_version for each in gold.segments()), default=None)
    if version is None or not silver.exists() or silver.version() < version:
        return gold.publication.published_at  # silver was made again since
    return min(silver.commit_at(version).timestamp_us, gold.publication.published_at)


def taken_over(context: Context, lane: Lane, source: Source, cut: int) -> Head:
    """The head by which readers see a lane's records, under a right to publish that is newer than all before."""
    view = lane.view
    with publishing(context.registry, view.name) as lease:
        token = lease.token
    return Head(
        view.name, lane.fingerprint, lane.publication, lane.generation, EVERY_EPOCH, token, cut,
        max(complete_from(view), 0), context.clock(), lane.layout, view.entity_keys, key_masks(view),
        view.freshness_us, "", source.name,
    )  # fmt: skip
