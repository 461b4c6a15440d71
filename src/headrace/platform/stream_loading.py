"""How a view's lane begins: from what is published of it, or from nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from headrace.definitions.fingerprint import view_fingerprint
from headrace.online.expiry import TIME
from headrace.platform.gold import Gold, complete_from
from headrace.platform.leases import publishing
from headrace.platform.masked_keys import key_masks
from headrace.platform.online_content import Content, record_layout
from headrace.platform.online_heads import Head, read_namespace
from headrace.platform.silver import silver_schema
from headrace.platform.stream_sinks import EVERY_EPOCH
from headrace.streaming.lane import CUT_OFF, Lane

if TYPE_CHECKING:
    from headrace.definitions.sources import Source
    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context


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
        publication=gold.publication.number,
    )  # fmt: skip


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
