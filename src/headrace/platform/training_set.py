"""Training sets: each label with its features as they were known at its time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from headrace.definitions.services import FeatureService
from headrace.definitions.views import Selection
from headrace.engines.base import Known
from headrace.errors import UnknownNameError
from headrace.platform.gold import Gold, silver_table
from headrace.platform.hindsight import values_now
from headrace.platform.labels import Labels, keyed, parse_labels
from headrace.platform.lookup import Question
from headrace.platform.manifest import Manifest, save_training_set
from headrace.platform.masked_keys import masked_keys
from headrace.platform.on_demand import computed
from headrace.platform.pinned import gold_of, pin_versions, resolved
from headrace.platform.reading import values_at

if TYPE_CHECKING:
    from headrace.platform.context import Context


@dataclass(frozen=True, slots=True)
class Options:
    """How a training set is made.

    Parameters
    ----------
    time : str
        The column of the labels' times.
    known : {"then", "now"}
        Whether rows count from when they were known, or from when they happened.
    on_incomplete : {"raise", "null"}
        What to do with labels at which a view is not complete.
    statuses : bool
        Whether a column with the status of each value is added.
    """

    time: str = "label_time"
    known: Known = "then"
    on_incomplete: str = "raise"
    statuses: bool = False

    def __post_init__(self) -> None:
        """Check the choices."""
        for name, value, choices in (
            ("known", self.known, ("then", "now")),
            ("on_incomplete", self.on_incomplete, ("raise", "null")),
        ):
            if value not in choices:
                raise UnknownNameError.of("choice", str(value), choices, f"training set, {name}")


def training_set(
    context: Context, labels: Any, service_name: str | FeatureService, options: Options, to: Path | None = None
) -> Any:
    """Join features to labels: one row out for each row in, in the same order.

    Parameters
    ----------
    context : Context
        The project.
    labels : frame or path
        Polars, pandas or Arrow; or a Parquet or CSV file. Columns: a time, the keys, what on-demand
        features ask for, and anything else, which is kept.
    service_name : str or FeatureService
        Which features.
    options : Options
        How.
    to : Path, optional
        A folder in which the labels, the result and its manifest are kept, to be rebuilt from.

    Returns
    -------
    frame
        Of the labels' kind: their columns, then ``view__feature`` and ``on_demand__output``.

    Raises
    ------
    IncompleteError
        If a label lies outside of what a view is complete for.
    NotAppliedError
        If a view has never been backfilled as it is defined now.
    """
    service = resolved(context, _service(context, service_name))
    parsed = parse_labels(labels, options.time, service)
    versions = pinned_versions(context, service, options.known, to)
    result = joined(context, parsed, service, options, versions)
    if to is not None:
        save_training_set(to, parsed, result, Manifest.of(service, options, versions, parsed))
    return parsed.answer(result)


def pinned_versions(context: Context, service: FeatureService, known: Known, to: Path | None = None) -> dict[str, int]:
    """The table version of each view that the service reads: of gold, or of silver for ``known="now"``.

    Of a training set that is kept, vacuum keeps these versions too.
    """
    if known == "now":
        views = {chosen.reference: chosen.view for chosen in service.read_selections}
        return {name: silver_table(context.lake, view.source).version() for name, view in views.items()}
    golds = {chosen.reference: gold_of(context, chosen) for chosen in service.read_selections}
    versions = {name: gold.version for name, gold in golds.items()}
    if to is not None:
        pin_versions(context, to, golds)
    return versions


def joined(
    context: Context, labels: Labels, service: FeatureService, options: Options, versions: dict[str, int]
) -> pl.DataFrame:
    """The labels with the service's columns, from pinned versions of the tables."""
    columns: dict[str, pl.Series] = {name: labels.frame[name] for name in service.request}
    statuses: dict[str, pl.Series] = {}
    for chosen in service.read_selections:
        values, states = _values(context, labels, chosen, options, versions[chosen.reference])
        columns |= {column.name: column for column in values}
        statuses |= {column.name: column for column in states}
    for item in service.on_demand:
        columns |= {column.name: column for column in computed(item, columns, labels.frame[labels.time_column])}
    wanted = [columns[name] for name in service.columns]
    if options.statuses:
        wanted += [statuses[f"{name}__status"] for name in service.columns if f"{name}__status" in statuses]
    return labels.frame.with_columns(wanted)


def _values(
    context: Context, labels: Labels, chosen: Selection, options: Options, version: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    keys = keyed(labels.frame, chosen.key_columns, chosen.view.entity_keys, "labels")
    question = Question(masked_keys(chosen.view, keys), labels.time)
    if options.known == "now":
        return values_now(context, chosen, question, version)
    gold = Gold.unpublished(context.lake, chosen.view).at(version)
    return values_at(gold, chosen, question, options.on_incomplete)


def _service(context: Context, service: str | FeatureService) -> FeatureService:
    return service if isinstance(service, FeatureService) else context.definitions.service(service)
