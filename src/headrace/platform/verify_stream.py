"""Comparing a stream's steps with those of the batch lane, row by row, and explaining each difference."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from headrace.errors import DefinitionError
from headrace.platform.gold import Gold, silver_table
from headrace.platform.verify_stream_causes import Explaining
from headrace.platform.verify_stream_comparing import Comparing
from headrace.platform.verify_stream_lane import Streamed, streamed_lane
from headrace.platform.verify_stream_report import StepDifference, StreamReport, differences_of
from headrace.platform.verify_stream_served import served
from headrace.platform.verify_stream_sets import RowSets

if TYPE_CHECKING:
    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context

__all__ = ["StepDifference", "StreamReport", "verify_stream"]


def verify_stream(
    context: Context, view_name: str | None = None, *, entities: int = 100, seed: int = 0
) -> list[StreamReport]:
    """Compare what the streams made with what the batch lane makes of the same events.

    Each step that a stream wrote into the lake is compared with gold, where that is up to date, and with what the
    engine makes of silver, where it is not. What is served of sampled entities is compared with the values that silver
    gives at the stream's cut. A stream may run meanwhile.

    Parameters
    ----------
    context : Context
        The project.
    view_name : str, optional
        The view; by default each that is streamed.
    entities : int
        Of how many entities what is served is compared, at most.
    seed : int
        Of the sample.

    Returns
    -------
    list of StreamReport
        One a view, in the order of the definitions.

    Raises
    ------
    UnknownNameError
        If there is no such view.
    DefinitionError
        If the view is not served from a stream.
    LakeError, OnlineStoreError
        If a table or the store can't be read.

    Notes
    -----
    The steps are compared in spans that fit into memory. Where something differs, the rows of the entities that it is
    about are held in memory; all of the source's, for a view with a transform, and where rows can be updated.
    """
    views = context.definitions.views.values() if view_name is None else [context.definitions.view(view_name)]
    streamed = [view for view in views if view.online and view.source.stream is not None]
    if view_name is not None and not streamed:
        raise DefinitionError(
            f"{context.definitions.view(view_name).place} is not served from a stream: its source needs stream=, and "
            f"the view online=True. Without --stream it is compared all the same: headrace verify {view_name}"
        )
    return [_verified(context, view, entities, seed) for view in streamed]


def _verified(context: Context, view: FeatureView, entities: int, seed: int) -> StreamReport:
    began = time.monotonic()
    lane = streamed_lane(context, view)
    if isinstance(lane, str):
        return StreamReport(view.name, view.source.name, said=lane)
    silver = silver_table(context.lake, view.source)
    if not silver.exists():
        return replace(_begun(lane), said=_nothing_ingested(view))
    report = _compared(RowSets.of(context, lane, lane.cut), entities, seed)
    return replace(report, seconds=time.monotonic() - began)


def _compared(sets: RowSets, entities: int, seed: int) -> StreamReport:
    """Steps, where they are in the lake, then what is served."""
    lane, report, parts = sets.lane, _begun(sets.lane), []
    if lane.has_steps:
        found = Comparing(sets.context, lane, Gold.of(sets.context, lane.view), sets.rows).run()
        parts.append(Explaining(sets).steps(found.different))
        report = replace(
            report, compared=found.compared, streamed=found.streamed, from_gold=found.from_gold,
            publication=found.publication,
        )  # fmt: skip
    number, differing, then = served(sets, entities, seed)
    parts.append(Explaining(then).served(differing))
    by_cause, listed = differences_of(lane.view, parts)
    return replace(
        report, served=number, served_differing=parts[-1].height, served_at=then.lane.cut, by_cause=by_cause,
        differences=listed, notes=tuple(dict.fromkeys([*sets.notes, *then.notes])),
    )  # fmt: skip


def _begun(lane: Streamed) -> StreamReport:
    return StreamReport(
        lane.view.name, lane.view.source.name, generation=lane.generation, since=lane.since, cut=lane.cut,
        has_steps=lane.has_steps, hint=lane.hint,
    )  # fmt: skip


def _nothing_ingested(view: FeatureView) -> str:
    return (
        "nothing of its source was ingested, so that there is no batch lane to compare with. "
        f"Run: headrace ingest {view.source.name} --follow --until-idle"
    )
