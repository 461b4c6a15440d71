"""Services as JSON Schema: what a request for one brings, with its own columns and types, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from headrace.definitions.fingerprint import view_fingerprint
from headrace.platform.request_columns import key_columns, request_columns
from headrace.server.openapi_types import Schema, example_of, schema_of
from headrace.timeline.packed import STATUSES

if TYPE_CHECKING:
    from headrace.definitions.services import FeatureService
    from headrace.definitions.transforms import OnDemand
    from headrace.definitions.views import FeatureView, Selection
    from headrace.platform.online_heads import Head
    from headrace.types import DataType

EXAMPLE_ROWS: Final = 2
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
TIME_OR_NULL: Final[Schema] = {"type": ["string", "null"], "format": "date-time"}
AT: Final[Schema] = {
    **TIME_OR_NULL,
    "description": "The time to answer for, ISO 8601 with its zone: past or future, as the records know it. Now, if "
    "left out.",
}
STATUS: Final[Schema] = {"type": "string", "enum": list(STATUSES)}


@dataclass(frozen=True, slots=True)
class ServedFeature:
    """A feature of a service.

    Parameters
    ----------
    column : str
        What it is called: ``view__feature``.
    reference : str
        What ``features`` calls it: ``view:feature``.
    dtype : DataType, optional
        Its type; None where only a publication will tell.
    view : FeatureView, optional
        What it is read from; None of an on-demand feature.
    on_demand : OnDemand, optional
        What computes it.
    description : str
        For people.
    """

    column: str
    reference: str
    dtype: DataType | None
    view: FeatureView | None
    on_demand: OnDemand | None
    description: str

    @property
    def told(self) -> str:
        """The feature in words: what it is, whose it is, and what it is tagged with."""
        view = self.view
        owner = f"Owner: {view.owner}." if view is not None and view.owner else ""
        tags = f"Tags: {', '.join(view.tags)}." if view is not None and view.tags else ""
        kind = "" if self.dtype is None else f"{self.dtype}."
        return " ".join(part for part in (self.description, kind, owner, tags) if part)


def is_served(service: FeatureService) -> bool:
    """Whether all views of a service are online, so that it can be asked for."""
    return all(chosen.view.online for chosen in service.read_selections)


def served_features(service: FeatureService, heads: Mapping[str, Head]) -> list[ServedFeature]:
    """The features of a service, in its order.

    Parameters
    ----------
    service : FeatureService
        The service.
    heads : mapping of str to Head
        What is served of views: tells the types that only a transform's result has.
    """
    read = [feature for chosen in service.selections for feature in _read(chosen, heads)]
    made = [feature for item in service.on_demand for feature in _made(item)]
    found = {feature.column: feature for feature in (*read, *made)}
    return [found[column] for column in service.columns]


def request_schema(service: FeatureService, most_rows: int) -> Schema:
    """The entities of a request: its columns, each an array with a place an entity."""
    columns = request_columns(service)
    keys = key_columns(service)
    return {
        "type": "object",
        "description": "The columns that name the entities, and those that on-demand features ask for: all of the "
        f"same length, at most {most_rows:,}.",
        "properties": {
            name: {
                "type": "array",
                "description": f"{'Key' if name in keys else 'Of the request'}, {dtype}.",
                "items": schema_of(dtype),
                "maxItems": most_rows,
            }
            for name, dtype in columns.items()
        },
        "required": list(columns),
        "additionalProperties": False,
    }


def example_entities(service: FeatureService) -> dict[str, list[Any]]:
    """Columns of a request as they might be."""
    columns = request_columns(service).items()
    return {name: [example_of(dtype, row) for row in range(EXAMPLE_ROWS)] for name, dtype in columns}


def column_schema(feature: ServedFeature) -> Schema:
    """One feature of an answer of ``/v1/features/…``."""
    return {
        "type": "object",
        "title": feature.column,
        "description": feature.told,
        "properties": {
            "name": {"const": feature.column},
            "values": {"type": "array", "items": schema_of(feature.dtype)},
            "statuses": {"type": "array", "items": STATUS},
            "event_times": {"type": "array", "items": TIME_OR_NULL},
            "ages_seconds": {"type": "array", "items": {"type": ["number", "null"]}},
            "valid_from": {"type": "array", "items": TIME_OR_NULL},
            "reason": {"type": "string"},
        },
        "required": ["name", "values", "statuses", "event_times", "ages_seconds"],
    }


def names_schema(features: Sequence[ServedFeature]) -> Schema:
    """Some of a service's features; null for all."""
    return {
        "type": ["array", "null"],
        "description": "Some of the features, in the order of the answer; all, if left out.",
        "items": {"type": "string", "enum": [feature.column for feature in features]},
        "minItems": 1,
        "maxItems": len(features),
        "uniqueItems": True,
    }


def _read(chosen: Selection, heads: Mapping[str, Head]) -> Iterator[ServedFeature]:
    view, head = chosen.view, heads.get(chosen.view.name)
    stored = {} if head is None or head.fingerprint != view_fingerprint(view) else _types(head)
    for name, column in chosen.columns.items():
        # What a transform makes of the rows is known once rows were transformed.
        dtype = stored.get(name) or (view.feature_type(name) if view.transform is None else None)
        feature = view.features[name]
        yield ServedFeature(column, f"{view.name}:{name}", dtype, view, None, feature.description or view.description)


def _made(item: OnDemand) -> Iterator[ServedFeature]:
    for name, dtype in item.outputs.items():
        yield ServedFeature(f"{item.name}__{name}", f"{item.name}:{name}", dtype, None, item, item.description)


def _types(head: Head) -> dict[str, DataType]:
    return {field.name: field.dtype for field in head.layout.fields}
