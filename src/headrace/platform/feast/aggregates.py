"""What a feature of Feast's is made by: the newest row, or one of its aggregations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from headrace.definitions.aggregations import RULES
from headrace.platform.feast.code import text
from headrace.platform.feast.draft import given_list
from headrace.platform.feast.recording import Recorded
from headrace.types import DataType, duration, duration_text

_FUNCTIONS: Final = {
    "sum": "sum", "max": "max", "min": "min", "count": "count", "mean": "mean", "avg": "mean", "std": "stddev",
    "stddev": "stddev", "var": "variance", "count_distinct": "count_distinct",
    "approx_count_distinct": "count_distinct",
}  # fmt: skip
_WINDOWS = "Windows are the last whole ones (hopping), and empty by themselves as time goes on."


@dataclass(frozen=True, slots=True)
class Aggregate:
    """How a feature is made.

    Parameters
    ----------
    column : str
        The column, as Feast calls it.
    dtype : DataType, optional
        The type that Feast declares.
    function : str
        The function here, as code.
    arguments : sequence of str
        Further ones behind the column, as code.
    named : mapping of str to str
        Named ones, as code.
    problem : str
        Why it can't be; empty where it can.
    note : str
        What is to be known of it.
    is_json : bool
        Whether it is text that Feast knows as JSON.
    """

    column: str
    dtype: DataType | None = None
    function: str = "hr.last"
    arguments: Sequence[str] = ()
    named: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    note: str = ""
    is_json: bool = False

    def given(self, dtype: DataType) -> DataType:
        """The type of the feature, from the column's."""
        return RULES[self.function.removeprefix("hr.")].gives(dtype)


def aggregates_of(item: Recorded) -> dict[str, Aggregate]:
    """The aggregations of a view, by the names of their features."""
    return dict(_aggregate(one) for one in given_list(item, "aggregations") if isinstance(one, Recorded))


def _aggregate(item: Recorded) -> tuple[str, Aggregate]:
    function, column = str(item.given.get("function", "")), str(item.given.get("column", ""))
    size, slide = item.given.get("time_window"), item.given.get("slide_interval")
    name = str(item.given.get("name") or f"{function}_{column}" + (f"_{int(size.total_seconds())}s" if size else ""))
    own = _FUNCTIONS.get(function)
    if own is None:
        return name, Aggregate(column, problem=f"there is no aggregate '{function}'")
    window = _window(size, slide)
    note = _WINDOWS if window else ""
    return name, Aggregate(column, function=f"hr.{own}", named={"window": window} if window else {}, note=note)


def _window(size: timedelta | None, slide: timedelta | None) -> str:
    if not size:
        return ""
    length, hop = (duration_text(duration(each)) for each in (size, slide or size))
    if length == hop:
        return f"hr.tumbling({text(length)})"
    kind = "sliding" if slide and size % slide else "hopping"
    return f"hr.{kind}({text(length)}, hop={text(hop)})"
