"""Comparing what is read of a view, offline and online, with what silver gives, and explaining each difference."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from headrace.definitions.views import FeatureView, Selection
from headrace.platform.gold import Gold, silver_table
from headrace.platform.past_definitions import view_as_of
from headrace.platform.reading import values_at
from headrace.platform.verify_causes import Causes
from headrace.platform.verify_comparing import Answers, Differing
from headrace.platform.verify_online import OnlineRecords, online_records
from headrace.platform.verify_recomputing import Rows, values_of
from headrace.platform.verify_report import Difference, VerifyReport
from headrace.platform.verify_sampling import Changes, Sampling, sampled_entities
from headrace.platform.verify_sizes import Sizes
from headrace.platform.verify_values import Comparer, Points, Reading, Values
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.platform.context import Context

__all__ = ["Difference", "Reading", "VerifyReport", "verify"]

_BEYOND: Final = 3_600 * SECOND
"""So long behind what is scheduled the online store is still asked."""


def verify(
    context: Context,
    view_name: str,
    *,
    entities: int = 100,
    times: int = 100,
    seed: int = 0,
    comparisons: int | None = None,
) -> VerifyReport:
    """Compare a view's values offline, online and recomputed, at sampled entities and times.

    Offline is what a training set reads; online what a request is answered at that time, from the step that is kept
    before the frontier to the last scheduled one; recomputed is what the engine makes in one go of all rows in
    silver that were known before the frontier.

    Parameters
    ----------
    context : Context
        The project.
    view_name : str
        The view.
    entities : int
        How many entities, at most.
    times : int
        How many times for each: random ones, and those at which something changes, with a microsecond before and
        after.
    seed : int
        Of the sample: the same one gives the same entities and times of the same tables.
    comparisons : int, optional
        About how many values are to be compared; in place of `times`.

    Returns
    -------
    VerifyReport

    Raises
    ------
    UnknownNameError
        If there is no such view.
    DefinitionError
        If the definition of what is published can't be read any more.
    LakeError, OnlineStoreError
        If a table or the store can't be read.

    Notes
    -----
    All rows of the source are held in memory for a view with a transform, and where rows can be updated.
    """
    began = time.monotonic()
    gold = _gold(context, context.definitions.view(view_name))
    if gold.publication is None or gold.complete().frontier is None:
        return VerifyReport(view_name, None if gold.publication is None else gold.publication.number)
    random = np.random.default_rng(seed)
    silver = silver_table(context.lake, gold.view.source)
    rows = Rows(context, gold.view, silver.version(), gold.publication.frontier)
    chosen = sampled_entities(gold, rows, entities, random)
    if comparisons is not None:
        times = math.ceil(comparisons / (max(len(chosen), 1) * len(gold.view.features)))
    records, steps = online_records(context, gold.view, chosen), rows.steps(chosen)
    points = _sampling(gold, records, times, random).points(chosen, Changes.of(gold, steps, chosen))
    comparer = Comparer(gold.view, Sizes(rows, chosen))
    causes = Causes(context, gold, chosen, records, comparer)
    return _report(gold, points, values_of(gold.view, steps, points), causes, began)


def _gold(context: Context, view: FeatureView) -> Gold:
    """What is published of a view as it is defined now; if nothing is, what is served."""
    gold, serving = Gold.of(context, view), context.registry.serving().get(view.name)
    if gold.pinned is not None or serving is None:
        return gold
    return Gold.unpublished(context.lake, view_as_of(context, view, serving.fingerprint)).published_as(serving)


def _sampling(gold: Gold, records: OnlineRecords | None, times: int, random: np.random.Generator) -> Sampling:
    coverage = gold.complete()
    scheduled = max(gold.view.history_us, gold.view.ttl_us or 0) + _BEYOND
    frontiers = [coverage.intervals[-1][1], *([] if records is None else [records.head.frontier])]
    online_from = None if records is None else records.answers_from
    return Sampling(coverage, online_from, max(frontiers) + scheduled, times, random)


def _report(gold: Gold, points: Points, recomputed: Values, causes: Causes, began: float) -> VerifyReport:
    view, records, comparer = gold.view, causes.records, causes.comparer
    offline, online = _offline(gold, points), None if records is None else _online(view, records, points)
    differing = Differing.of(points, recomputed, offline, online, comparer)
    found = differing.causes(causes)
    asked = offline.asked if online is None else offline.asked | online.asked
    total, by_cause = int(asked.sum()), differing.tally(found)
    return VerifyReport(
        view=view.name,
        version=None if gold.publication is None else gold.publication.number,
        comparisons=total,
        equal=total - sum(by_cause.values()),
        differences=differing.listed(found),
        by_cause=by_cause,
        online=None if records is None else records.head.number,
        online_comparisons=0 if online is None else int(online.asked.sum()),
        seconds=time.monotonic() - began,
    )


def _offline(gold: Gold, points: Points) -> Answers:
    chosen = Selection(gold.view)
    values = Values.judged(chosen.feature_names, values_at(gold, chosen, points.question, "null"))
    covered = gold.complete().contains(points.time)
    return Answers(values, np.repeat(covered[:, None], len(chosen.feature_names), axis=1))


def _online(view: FeatureView, records: OnlineRecords, points: Points) -> Answers:
    return Answers(records.values(view, points), records.answers(list(view.features), points))
