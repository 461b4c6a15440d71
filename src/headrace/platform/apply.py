"""Putting the project's definitions in force."""

from __future__ import annotations

import polars as pl

from headrace.definitions.views import FeatureView
from headrace.engines.polars_types import polars_schema
from headrace.errors import HeadraceError, TransformError
from headrace.platform.context import Context
from headrace.platform.entries import entries_of
from headrace.platform.materialize import catch_up
from headrace.platform.pinned import check_pins
from headrace.platform.plan import Plan, plan
from headrace.platform.rowwise import check_row_wise
from headrace.platform.samples import made_up_rows

MADE_UP_ROWS = 40
SILVER_ROWS = 200


def apply(context: Context, by: str = "") -> Plan:
    """Check the definitions, then put them in force, all at once or not at all.

    Transforms are tried on a sample first: of silver where it has rows, and made up from the schema.
    Applying what is in force already changes nothing.

    Parameters
    ----------
    context : Context
        The project.
    by : str
        Who applies; kept in the registry's history.

    Returns
    -------
    Plan
        What was changed, as `plan` would have shown it.

    Raises
    ------
    TransformError
        If a transform is not row-wise.
    DefinitionError
        If a view uses a column that its transform does not make.
    RegistryError
        If the registry can't be written; nothing was changed.
    OnlineStoreError
        If the definitions are in force, and a changed `ttl` could not be told to the online store.
    """
    changes = plan(context)
    for view in context.definitions.views.values():
        if view.transform is not None:
            check_transform(context, view)
    for service in context.definitions.services.values():
        check_pins(context, service)
    context.registry.apply(entries_of(context.definitions), at=context.clock(), by=by)
    for change in changes.changes:
        if change.kind == "view" and change.action == "changed" and change.backfill is None:
            catch_up(context, change.name)  # what is applied when a value is read, such as a ttl
    return changes


def check_transform(context: Context, view: FeatureView) -> None:
    """Check that a view's transform is row-wise and makes the columns that the view uses.

    Where it fails on made-up rows, and there are real ones, those decide: a text that must be parsed
    can't be made up.

    Raises
    ------
    TransformError, DefinitionError
        If it is not, or does not.
    """
    real = _silver_rows(context, view)
    made_up = made_up_rows(view.source, MADE_UP_ROWS)
    try:
        columns = check_row_wise(view, made_up)
    except TransformError as error:
        if error.__cause__ is None or isinstance(error.__cause__, HeadraceError):
            raise
        if real is None:
            raise TransformError(
                f"{error} This was on made-up rows, as silver has none: let the transform accept any value of its "
                "columns' types, say in the source's contract which ones there are, or ingest first."
            ) from error
        columns = {}
    if real is not None:
        columns = check_row_wise(view, real)
    view.check_columns(columns)


def _silver_rows(context: Context, view: FeatureView) -> pl.DataFrame | None:
    silver = context.lake.table("silver", view.source.name)
    if not silver.exists():
        return None
    schema = polars_schema(view.source.schema)
    if any(silver.schema().get(name) != dtype for name, dtype in schema.items()):
        return None  # the source has just changed: what is there is not what will come
    rows = silver.scan().select(list(schema)).head(SILVER_ROWS).collect()
    return rows if len(rows) else None
