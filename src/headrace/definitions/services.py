"""Feature services: what one model asks for, in order."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from headrace.definitions.names import checked_name
from headrace.definitions.transforms import OnDemand, RequestTime
from headrace.definitions.views import FeatureView, Selection, selection
from headrace.errors import DefinitionError, UnknownNameError
from headrace.types import DataType, Timestamp

Member = FeatureView | Selection | OnDemand


@dataclass(frozen=True)
class FeatureService:
    """The features that a model reads, by name and in order.

    Parameters
    ----------
    name : str
        A lower-case identifier.
    features : sequence
        Views, selections of them (``view["feature"]``, ``view.alias(…)``) and on-demand features.
    """

    name: str
    features: Sequence[Member] = field(kw_only=True)
    description: str = field(default="", kw_only=True)
    owner: str = field(default="", kw_only=True)
    tags: Sequence[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        """Check that no two features share a column."""
        checked_name("service", self.name)
        object.__setattr__(self, "features", tuple(self.features))
        object.__setattr__(self, "tags", tuple(self.tags))
        if not self.features:
            raise DefinitionError(f"service '{self.name}' has no features.")
        seen: set[str] = set()
        for column in self.columns:
            if column in seen:
                raise DefinitionError(
                    f"service '{self.name}': two features are called '{column}'. Rename one: view.alias('pickup', …)."
                )
            seen.add(column)
        for item in self.on_demand:
            bindings(item)
        _ = self.read_selections, self.request

    @property
    def selections(self) -> tuple[Selection, ...]:
        """The views that are read, in order."""
        return tuple(selection(item) for item in self.features if not isinstance(item, OnDemand))

    @property
    def on_demand(self) -> tuple[OnDemand, ...]:
        """The on-demand features, in order."""
        return tuple(item for item in self.features if isinstance(item, OnDemand))

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a training set, in order."""
        return tuple(column for item in self.features for column in _columns(item))

    @property
    def request(self) -> dict[str, DataType]:
        """The columns that a request, or the labels, must carry beside keys."""
        found: dict[str, DataType] = {}
        for item in self.on_demand:
            for name, dtype in item.request.items():
                if isinstance(dtype, RequestTime):
                    continue
                if found.setdefault(name, dtype) != dtype:
                    raise DefinitionError(
                        f"service '{self.name}': request column '{name}' is {found[name]} for one on-demand feature "
                        f"and {dtype} for '{item.name}'. Give both the same type."
                    )
        return found

    @property
    def read_selections(self) -> tuple[Selection, ...]:
        """`selections` and those that on-demand features read beside them, each name once."""
        found: dict[str, Selection] = {}
        inputs = (selection(wanted) for item in self.on_demand for wanted in item.inputs)
        for wanted in (*self.selections, *inputs):
            known = found.get(wanted.name, wanted)
            if (known.reference, known.key_columns) != (wanted.reference, wanted.key_columns):
                raise DefinitionError(
                    f"service '{self.name}': '{wanted.name}' stands for two different things, view "
                    f"'{known.reference}' and view '{wanted.reference}'. Give one of them another alias."
                )
            found[wanted.name] = _union(known, wanted)
        return tuple(found.values())


def _columns(item: Member) -> list[str]:
    if isinstance(item, OnDemand):
        return [f"{item.name}__{output}" for output in item.outputs]
    return list(selection(item).columns.values())


def _union(one: Selection, other: Selection) -> Selection:
    names = (*one.feature_names, *(name for name in other.feature_names if name not in one.feature_names))
    return replace(one, names=names)


def bindings(item: OnDemand) -> dict[str, str]:
    """For each parameter of an on-demand function, the column that feeds it.

    A parameter is named after a request column, a feature (``last_ping``) or a column
    (``driver_now__last_ping``).

    Raises
    ------
    UnknownNameError
        If a parameter is none of them.
    DefinitionError
        If a feature's name is ambiguous among the inputs.
    """
    for wanted in item.inputs:
        if not isinstance(wanted, FeatureView | Selection):
            raise DefinitionError(f"on_demand '{item.name}': input {wanted!r} is neither a view nor features of one.")
    columns = dict.fromkeys(c for wanted in map(selection, item.inputs) for c in wanted.columns.values())
    choices: dict[str, list[str]] = {name: [name] for name in item.request}
    for column in columns:
        choices.setdefault(column, [column])
        choices.setdefault(column.split("__", 1)[1], []).append(column)
    return {parameter: _bound(item, parameter, choices) for parameter in inspect.signature(item.function).parameters}


def _bound(item: OnDemand, parameter: str, choices: dict[str, list[str]]) -> str:
    found = choices.get(parameter, [])
    if not found:
        raise UnknownNameError.of("input", parameter, choices, f"on_demand '{item.name}', parameter")
    if len(found) > 1:
        raise DefinitionError(
            f"on_demand '{item.name}': parameter '{parameter}' could be any of {', '.join(found)}. Write one of these."
        )
    return found[0]


def request_type(dtype: DataType | RequestTime) -> DataType:
    """The type of a request column; the request's time is a Timestamp."""
    return Timestamp if isinstance(dtype, RequestTime) else dtype
