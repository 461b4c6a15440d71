"""Feature views: the features of one entity from one source, and references to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import cast

from headrace.definitions.aggregations import Aggregation
from headrace.definitions.checks import Check
from headrace.definitions.entities import Entity
from headrace.definitions.names import checked_name
from headrace.definitions.predicates import Expression, columns_of, predicate_text
from headrace.definitions.sources import ChangeSource, SnapshotSource, Source, as_columns
from headrace.definitions.transforms import Transform
from headrace.definitions.windows import Hopping, Lifetime, Sliding
from headrace.errors import DefinitionError, UnknownNameError
from headrace.types import BEGINNING, DataType, duration, instant_text


@dataclass(frozen=True)
class FeatureView:
    """Features of one entity, made from the rows of one source.

    Parameters
    ----------
    name : str
        A lower-case identifier, unique in the project.
    entity : Entity or None
        What the features describe; None for global features.
    source : Source
        Where the rows come from.
    features : mapping of str to Aggregation
        The features, by name.
    transform : Transform, optional
        A row-wise function applied to the rows first.
    event_time : str, optional
        The column of the event time after the transform; the source's otherwise.
    keys : mapping of str to str, optional
        Which column holds which key of the entity, where they are named differently.
    where : str or Expression, optional
        A condition that rows must meet to belong to the view at all.
    ttl : duration, optional
        A `last` value older than this is null (status OUTSIDE_MAX_AGE).
    resolution : duration, optional
        Values change at multiples of this only (rounded up); bounds the size of gold.
    checks : sequence of Check
        What must hold of the features before anyone reads them.
    freshness : duration, optional
        How far behind the view may be before it counts as stale.
    online : bool
        Whether the view is served online.
    """

    name: str
    entity: Entity | None = field(kw_only=True)
    source: Source = field(kw_only=True)
    features: Mapping[str, Aggregation] = field(kw_only=True)
    transform: Transform | None = field(default=None, kw_only=True)
    event_time: str | None = field(default=None, kw_only=True)
    keys: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    where: str | Expression | None = field(default=None, kw_only=True)
    ttl: int | str | timedelta | None = field(default=None, kw_only=True)
    resolution: int | str | timedelta | None = field(default=None, kw_only=True)
    checks: Sequence[Check] = field(default=(), kw_only=True)
    freshness: int | str | timedelta | None = field(default=None, kw_only=True)
    online: bool = field(default=True, kw_only=True)
    description: str = field(default="", kw_only=True)
    owner: str = field(default="", kw_only=True)
    tags: Sequence[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        """Parse lengths, then check every name and type that is known without running anything."""
        checked_name("view", self.name)
        for name in ("ttl", "resolution", "freshness"):
            value = getattr(self, name)
            self._set(name, None if value is None else self._positive(name, duration(value)))
        self._set("keys", MappingProxyType(dict(self.keys)))
        self._set("features", MappingProxyType(dict(self.features)))
        self._set("where", predicate_text(self.where))
        self._set("checks", tuple(self.checks))
        self._set("tags", tuple(self.tags))
        self._check_names()
        if self.transform is None:
            self.check_columns(dict(self.source.schema))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _positive(self, name: str, value: int) -> int:
        if value <= 0:
            raise DefinitionError(f"{self.place}: {name} must be longer than nothing.")
        return value

    @property
    def place(self) -> str:
        """The place named in messages."""
        return f"view '{self.name}'"

    @property
    def entity_keys(self) -> dict[str, DataType]:
        """The entity's keys and their types; empty for a global view."""
        return {} if self.entity is None else dict(self.entity.keys)

    @property
    def key_columns(self) -> dict[str, str]:
        """For each key of the entity, the column of the rows that holds it."""
        return {key: self.keys.get(key, key) for key in self.entity_keys}

    @property
    def time_column(self) -> str | None:
        """The column of the event time; None where it is the snapshot's day."""
        return self.event_time or self.source.event_time

    @property
    def mutable(self) -> bool:
        """Whether the rows of the source can be updated, and so end."""
        return isinstance(self.source, ChangeSource | SnapshotSource)

    @property
    def ttl_us(self) -> int | None:
        """`ttl` in microseconds."""
        return cast("int | None", self.ttl)

    @property
    def resolution_us(self) -> int | None:
        """`resolution` in microseconds."""
        return cast("int | None", self.resolution)

    @property
    def freshness_us(self) -> int | None:
        """`freshness` in microseconds."""
        return cast("int | None", self.freshness)

    @property
    def history_us(self) -> int:
        """How far back a row can still be inside a window, in microseconds; lifetimes count as none."""
        lengths = [
            w.size + w.hop + (self.source.max_lateness_us if isinstance(w, Hopping) else 0)
            for w in (feature.window for feature in self.features.values())
            if isinstance(w, Sliding | Hopping)
        ]
        return max(lengths, default=0)

    def feature_type(self, name: str, schema: dict[str, DataType] | None = None) -> DataType:
        """The type of a feature, from the source's schema or that of the transformed rows."""
        columns = dict(self.source.schema) if schema is None else schema
        return self.features[name].result_type(columns, f"{self.place}, feature '{name}'")

    def check_columns(self, schema: dict[str, DataType]) -> None:
        """Check every column that the view uses against those at hand after the transform.

        Raises
        ------
        UnknownNameError, DefinitionError
            With the place and the nearest right name.
        """
        for role, column in (*self.key_columns.items(), ("event_time", self.time_column)):
            if column is not None and column not in schema:
                what = f"{self.place}, {'event_time' if role == 'event_time' else f'key {role!r}'}"
                raise UnknownNameError.of("column", column, schema, what)
        self._check_key_types(schema)
        for name, feature in self.features.items():
            feature.result_type(schema, f"{self.place}, feature '{name}'")
            self._check_predicate(feature.where, schema, f"{self.place}, feature '{name}', where")
        self._check_predicate(self.where, schema, f"{self.place}, where")  # type: ignore[arg-type]

    def _check_key_types(self, schema: dict[str, DataType]) -> None:
        for key, dtype in self.entity_keys.items():
            found = schema[self.key_columns[key]]
            if found != dtype and not (found.is_integer and dtype.is_integer):
                raise DefinitionError(
                    f"{self.place}, key '{key}': column '{self.key_columns[key]}' is {found}, "
                    f"the entity's key is {dtype}."
                )
        column = self.time_column
        if column is not None and not schema[column].is_temporal:
            raise DefinitionError(
                f"{self.place}, event_time: '{column}' is {schema[column]}; a Timestamp or Date is needed."
            )

    def _check_predicate(self, text: str | None, schema: dict[str, DataType], where: str) -> None:
        for column in columns_of(text) if text else ():
            if column not in schema:
                raise UnknownNameError.of("column", column, schema, where)

    def _check_names(self) -> None:
        if not self.features:
            raise DefinitionError(f"{self.place} has no features: features={{'last_ping': hr.last('ts')}}.")
        for name, feature in self.features.items():
            self._check_feature(name, feature)
        for key in self.keys:
            if key not in self.entity_keys:
                raise UnknownNameError.of("key", key, self.entity_keys, f"{self.place}, keys")
        for check in self.checks:
            if check.column not in self.features:
                raise UnknownNameError.of("feature", check.column, self.features, f"{self.place}, checks")

    def _check_feature(self, name: str, feature: object) -> None:
        place = f"{self.place}, feature '{name}'"
        checked_name(f"{self.place}: feature", name)
        if not isinstance(feature, Aggregation):
            raise DefinitionError(f"{place}: {feature!r} is no aggregation such as hr.last('ts').")
        if name in self.entity_keys:
            raise DefinitionError(f"{place}: it has the name of a key of its entity.")
        if self._misses_rows(feature):
            raise DefinitionError(
                f"{place}: a lifetime {feature.function} needs every row since the beginning, but {self.source.where} "
                f"is complete only from {instant_text(self.source.complete_from_us or 0)}. Take a window, or declare "
                "complete_from='beginning' if that is true."
            )
        if self.mutable and not feature.rule.on_changes:
            raise DefinitionError(
                f"{place}: {feature.function} is a sketch, and a sketch can't forget a row that is updated or deleted "
                f"in {self.source.where}. Take an exact aggregate."
            )

    def _misses_rows(self, feature: Aggregation) -> bool:
        """Whether a lifetime aggregate lacks rows from before the source is complete; `last` needs the newest only."""
        start = self.source.complete_from_us
        declared_later = start is not None and start > BEGINNING
        return declared_later and isinstance(feature.window, Lifetime) and not feature.rule.ages

    def __getitem__(self, names: str | list[str] | tuple[str, ...]) -> Selection:
        """Choose features: ``view["wait_mean_5m"]`` or ``view[["a", "b"]]``."""
        return Selection(self)[names]

    def __matmul__(self, version: int) -> Selection:
        """Pin a version: ``driver_now @ 3`` is what publication 3 held, whatever is published later.

        Offline that is its very content; online, its definition with the newest values under that.
        """
        return Selection(self) @ version

    def alias(self, name: str, keys: Mapping[str, str] | None = None) -> Selection:
        """Use the view under another name, its keys found in other columns of the labels.

        Parameters
        ----------
        name : str
            What its columns begin with: ``name__feature``.
        keys : mapping of str to str
            For a key of the entity, the column of the labels that holds it.

        Examples
        --------
        ``zone_demand.alias("pickup", keys={"zone": "pickup_zone"})``
        """
        return Selection(self).alias(name, keys)


@dataclass(frozen=True)
class Selection:
    """Some features of a view, perhaps under another name and with other key columns.

    Parameters
    ----------
    view : FeatureView
        The view.
    names : tuple of str
        The chosen features, in order; empty for all.
    prefix : str
        What columns begin with; the view's name where empty.
    label_keys : mapping of str to str
        For a key of the entity, the column of labels and requests that holds it.
    version : int, optional
        The number of the publication that is read; what is served at the time where it is None.
    """

    view: FeatureView
    names: tuple[str, ...] = ()
    prefix: str = ""
    label_keys: Mapping[str, str] = field(default_factory=dict)
    version: int | None = None

    def __getitem__(self, names: str | list[str] | tuple[str, ...]) -> Selection:
        """Choose features by name."""
        chosen = as_columns(names)
        for name in chosen:
            if name not in self.view.features:
                raise UnknownNameError.of("feature", name, self.view.features, self.view.place)
        return replace(self, names=chosen)

    def alias(self, name: str, keys: Mapping[str, str] | None = None) -> Selection:
        """See `FeatureView.alias`."""
        checked_name("alias", name)
        for key in keys or {}:
            if key not in self.view.entity_keys:
                raise UnknownNameError.of("key", key, self.view.entity_keys, f"{self.view.place}, alias '{name}'")
        return replace(self, prefix=name, label_keys=MappingProxyType(dict(keys or {})))

    def __matmul__(self, version: int) -> Selection:
        """See `FeatureView.__matmul__`."""
        number: object = version  # whatever a document says
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise DefinitionError(f"{self.view.place} @ {number!r}: the number of a version is 1 or more.")
        return replace(self, version=number)

    @property
    def reference(self) -> str:
        """The view and, where it is pinned, its version: ``driver_now@3``."""
        return self.view.name if self.version is None else f"{self.view.name}@{self.version}"

    @property
    def name(self) -> str:
        """What the columns begin with."""
        return self.prefix or self.view.name

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The chosen features, in order."""
        return self.names or tuple(self.view.features)

    @property
    def columns(self) -> dict[str, str]:
        """For each chosen feature, its column in a training set."""
        return {feature: f"{self.name}__{feature}" for feature in self.feature_names}

    @property
    def key_columns(self) -> dict[str, str]:
        """For each key of the entity, the column of labels and requests that holds it."""
        return {key: self.label_keys.get(key, key) for key in self.view.entity_keys}


def selection(item: FeatureView | Selection) -> Selection:
    """A view as the selection of all its features."""
    return item if isinstance(item, Selection) else Selection(item)
