"""Looking at one entity, or at all of them at one time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from headrace.definitions.services import FeatureService
from headrace.definitions.views import FeatureView, Selection
from headrace.engines.polars_types import to_polars
from headrace.errors import DefinitionError, UnknownNameError
from headrace.lake.reading import collect
from headrace.platform.gold import DAY_COLUMN
from headrace.platform.labels import as_frame
from headrace.platform.masked_keys import key_masks, masked_keys
from headrace.platform.pinned import gold_of, resolved
from headrace.platform.training_set import Options, training_set
from headrace.types import instant

if TYPE_CHECKING:
    from datetime import date, datetime

    from headrace.platform.context import Context

AT = "at"


def history(
    context: Context,
    view_name: str,
    key: Mapping[str, Any],
    start: str | int | date | datetime | None = None,
    end: str | int | date | datetime | None = None,
) -> pl.DataFrame:
    """The steps of one entity: when each of its values held.

    Parameters
    ----------
    context : Context
        The project.
    view_name : str
        The view.
    key : mapping of str to value
        The entity.
    start, end : time, optional
        Steps within ``[start, end)``.

    Returns
    -------
    frame
        ``valid_from``, ``event_time`` and the features, oldest first.
    """
    view = context.definitions.view(view_name)
    for name in key:
        if name not in view.entity_keys:
            raise UnknownNameError.of("key", name, view.entity_keys, view.place)
    for name in view.entity_keys:
        if name not in key:
            raise DefinitionError(f"{view.place}: whose history? Its key '{name}' is missing.")
    gold = gold_of(context, Selection(view))
    scan = gold.scan()
    wanted = masked_keys(view, pl.DataFrame([_key_value(view, name, value) for name, value in key.items()]))
    for name in key:
        scan = scan.filter(pl.col(name) == wanted[name].item())
    for bound, keep in ((start, pl.Expr.ge), (end, pl.Expr.lt)):
        if bound is not None:
            scan = scan.filter(keep(pl.col("valid_from"), pl.lit(instant(bound)).cast(pl.Datetime("us", "UTC"))))
    return collect(scan.drop(DAY_COLUMN, *view.entity_keys).sort("valid_from"), gold.table, gold.version)


def _key_value(view: FeatureView, key: str, value: Any) -> pl.Series:
    """The value of a key in its own type; it may be given as text."""
    dtype = view.entity_keys[key]
    try:
        return pl.Series(key, [value]).cast(to_polars(dtype))
    except pl.exceptions.PolarsError:
        raise DefinitionError(f"{view.place}, key '{key}': {value!r} is no {dtype}.") from None


def snapshot(
    context: Context, service_name: str | FeatureService, at: str | int | date | datetime, entities: Any = None
) -> Any:
    """The features of many entities at one time, to score in batch.

    Parameters
    ----------
    context : Context
        The project.
    service_name : str or FeatureService
        Which features.
    at : time
        When.
    entities : frame or path, optional
        The entities: key columns, and what on-demand features ask for. All known ones by default, for a
        service whose views have the same keys.
    """
    named = service_name if isinstance(service_name, FeatureService) else context.definitions.service(service_name)
    service = resolved(context, named)
    moment = pl.lit(instant(at)).cast(pl.Datetime("us", "UTC"))
    rows = _known_entities(context, service) if entities is None else as_frame(entities, "entities")
    return training_set(context, rows.with_columns(moment.alias(AT)), service, Options(time=AT))


def _known_entities(context: Context, service: FeatureService) -> pl.DataFrame:
    keys = {tuple(chosen.key_columns.values()) for chosen in service.read_selections if chosen.key_columns}
    if len(keys) > 1 or service.request or any(key_masks(chosen.view) for chosen in service.read_selections):
        needed = sorted({column for names in keys for column in names} | set(service.request))
        raise DefinitionError(
            f"service '{service.name}': its entities can't be listed by themselves. "
            f"Pass entities= with {', '.join(needed)}."
        )
    frames = [
        gold_of(context, chosen).scan().select(pl.col(key).alias(name) for key, name in chosen.key_columns.items())
        for chosen in service.read_selections
        if chosen.key_columns
    ]
    if not frames:
        return pl.DataFrame({"_hr_one": np.zeros(1)}).select([])
    everyone = pl.concat(frames).unique()
    return everyone.sort(pl.all()).collect()
