"""headrace: a feature platform for machine learning.

A feature is, for each entity, a step function of time. Define it once; batch, training and
serving read the same steps.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from headrace.definitions import checks as check
from headrace.definitions import personal as mask
from headrace.definitions.aggregations import (
    count,
    count_distinct,
    first,
    last,
    last_n,
    max,  # noqa: A004 - the field's words
    mean,
    min,  # noqa: A004
    quantile,
    stddev,
    sum,  # noqa: A004
    variance,
)
from headrace.definitions.entities import Entity
from headrace.definitions.locations import Debezium, Files, Kafka
from headrace.definitions.predicates import col
from headrace.definitions.project import Definitions
from headrace.definitions.services import FeatureService
from headrace.definitions.sources import ChangeSource, EventSource, SnapshotSource
from headrace.definitions.transforms import RequestTime, on_demand, transform
from headrace.definitions.views import FeatureView
from headrace.definitions.windows import hopping, lifetime, sliding, tumbling
from headrace.errors import HeadraceError
from headrace.types import (
    Binary,
    Bool,
    Date,
    Decimal,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    List,
    String,
    Timestamp,
    UInt8,
    UInt16,
    UInt32,
    Vector,
)

if TYPE_CHECKING:
    from headrace import testing
    from headrace.platform import Platform

__version__ = "0.1.0"

_LAZY = {"Platform": "headrace.platform", "testing": "headrace.testing"}

__all__ = [
    "Binary", "Bool", "ChangeSource", "Date", "Debezium", "Decimal", "Definitions", "Entity", "EventSource",
    "FeatureService", "FeatureView", "Files", "Float32", "Float64", "HeadraceError", "Int8", "Int16", "Int32",
    "Int64", "Kafka", "List", "Platform", "RequestTime", "SnapshotSource", "String", "Timestamp", "UInt8",
    "UInt16", "UInt32", "Vector", "__version__", "check", "col", "count", "count_distinct", "first", "hopping",
    "last", "last_n", "lifetime", "mask", "max", "mean", "min", "on_demand", "quantile", "sliding", "stddev",
    "sum", "testing", "transform", "tumbling", "variance",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import what is heavy only when it is asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'headrace' has no attribute '{name}'")
    module = import_module(_LAZY[name])
    return module if name == "testing" else getattr(module, name)
