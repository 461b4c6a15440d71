"""Feast's on-demand views: their functions come along by their text, behind a small adapter."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.platform.feast.code import call, mapping, plain_name, sequence, text
from headrace.platform.feast.draft import Draft, View, given_list, typed
from headrace.platform.feast.functions import Function
from headrace.platform.feast.recording import Recorded, kind_of, viewed
from headrace.platform.feast.types import from_feast, shown
from headrace.types import DataType

_REMARK = (
    "On-demand functions get numbers as pandas makes them of Python's: whole numbers beside a missing value are "
    "floats. What is not a number (NaN) comes out as null. Feast answers NaN, and PRESENT."
)
ADAPTERS: Final = {
    "pandas": '''\
def _as_frame(columns):
    """Columns as the frame of pandas that Feast gives its functions."""
    import pandas as pd

    return pd.DataFrame({name: _as_pandas(pd, values) for name, values in columns.items()})


def _as_pandas(pd, values):
    number = values.dtype.is_numeric() and (values.dtype.is_float() or values.is_null().any())
    return pd.Series(values.to_list(), dtype="float64" if number else None)
''',
    "python": '''\
def _as_lists(columns):
    """Columns as the dictionary of lists that Feast gives its functions."""
    return {name: values.to_list() for name, values in columns.items()}
''',
    "singleton": '''\
def _row_by_row(function, columns):
    """What a function makes of each row, as columns."""
    lists = [values.to_list() for values in columns.values()]
    rows = [function(dict(zip(columns, row))) for row in zip(*lists)]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
''',
    "columns": '''\
def _columns(found, names):
    """What a function made, as columns; NaN is null."""
    return {own: pl.Series(own, [_value(v) for v in found[name]], strict=False) for name, own in names.items()}


def _value(value):
    value = value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value
    return None if value is None or (not hasattr(value, "__len__") and str(value) in ("nan", "NaT", "<NA>")) else value
''',
}
"""Functions of the written project, for each way in which Feast calls on-demand functions."""


@dataclass(slots=True)
class _Inputs:
    code: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    request: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, DataType] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def reserve_names(draft: Draft) -> None:
    """Keep the names that functions need, before variables are named."""
    for item in draft.repository.of_kind("OnDemandFeatureView"):
        _function(draft, item, _mode(item))
        draft.variables.new(draft.name_of(item, "on_demand")[0], "on_demand")
    for name in draft.surroundings.names():
        draft.variables.new(name, "function")


def write_on_demand(draft: Draft) -> set[str]:
    """Write the on-demand features; gives the adapters that they need."""
    used: set[str] = set()
    for item in draft.repository.of_kind("OnDemandFeatureView"):
        mode = _mode(item)
        function, problems = _function(draft, item, mode)
        found = _inputs(draft, item, function) if function else _Inputs()
        problems += found.problems
        if function is None or problems:
            why = "; ".join(problems)
            draft.leave(item, f"{why[:1].upper()}{why[1:]}.")
            continue
        _write(draft, item, mode, function, found)
        used |= {mode, "columns"}
    return used


def _mode(item: Recorded) -> str:
    mode = kind_of(item.given.get("mode") or "pandas").lower()
    return "singleton" if mode == "python" and item.given.get("singleton") else mode


def _function(draft: Draft, item: Recorded, mode: str) -> tuple[Function | None, list[str]]:
    transformation = item.given.get("feature_transformation")
    udf = item.given.get("udf") or (transformation.given.get("udf") if isinstance(transformation, Recorded) else None)
    if mode not in ADAPTERS:
        return None, [f"its mode is {mode}: only functions of pandas and plain Python come along"]
    for key in ("aggregations", "explode"):
        if item.given.get(key):
            return None, [f"it has {key}: an on-demand function here makes a value of each row"]
    if not callable(udf) or isinstance(udf, Recorded):
        return None, ["its function can't be found"]
    return draft.surroundings.take(udf)


def _inputs(draft: Draft, item: Recorded, function: Function) -> _Inputs:
    found = _Inputs()
    for source in _sources(item):
        if source.kind == "RequestSource":
            _request(source, found)
        elif (view := draft.views.get(id(viewed(source)))) is None:
            found.problems.append(f"it reads {viewed(source).given.get('name')}, which stayed behind")
        else:
            _view(source, view, function, found)
    for fld in given_list(item, "schema"):
        dtype = from_feast(fld.given.get("dtype"))
        if dtype is None:
            problem = f"there is no type for its output {fld.given.get('name')}, {shown(fld.given.get('dtype'))}"
            found.problems.append(problem)
        else:
            found.outputs[str(fld.given["name"])] = dtype
    if function.columns is not None:  # a parameter for each column that is read, and no other
        unknown = sorted(function.columns - found.columns.keys()) if not found.problems else []
        found.problems += [f"it reads '{name}', which is in none of its sources" for name in unknown]
        found.columns = {name: own for name, own in found.columns.items() if name in function.columns}
    return found


def _sources(item: Recorded) -> list[Recorded]:
    sources = item.given.get("sources") or []
    listed = sources.values() if isinstance(sources, dict) else sources
    return [source for source in listed if isinstance(source, Recorded)]


def _request(source: Recorded, found: _Inputs) -> None:
    for fld in given_list(source, "schema"):
        name, dtype = str(fld.given.get("name")), from_feast(fld.given.get("dtype"))
        if dtype is None:
            found.problems.append(f"there is no type for {name} of the request, {shown(fld.given.get('dtype'))}")
        else:
            found.columns[name], found.request[name] = name, typed(dtype)


def _view(source: Recorded, view: View, function: Function, found: _Inputs) -> None:
    wanted = source.given.get("names") or list(view.features)
    alias = plain_name(str(source.given["alias"])) if source.given.get("alias") else view.name
    read = function.words if function.columns is None else function.columns
    for name in [name for name in view.missing if name in read]:
        found.problems.append(f"it reads {view.name}:{name}, which stayed behind")
    names = [name for name in wanted if name in view.features]
    names = [name for name in names if function.columns is None or name in function.columns]
    if names:
        found.columns |= {name: f"{alias}__{view.features[name]}" for name in names}
        found.code.append(selected(source, view, names))


def selected(source: Recorded, view: View, names: list[str] | None = None) -> str:
    """A view, or some of its features under another name, as code."""
    code = view.variable
    keys = source.given.get("keys") if source.kind == "Projection" else None
    alias = source.given.get("alias") if source.kind == "Projection" else None
    if keys or alias:
        named = {"keys": mapping({key: text(value) for key, value in keys.items()})} if keys else {}
        code += call(".alias", [text(plain_name(str(alias)) if alias else view.name)], named)
    if names is not None and names != list(view.features):
        code += f"[{sequence(text(view.features[name]) for name in names)}]"
    return code


def _write(draft: Draft, item: Recorded, mode: str, function: Function, found: _Inputs) -> None:
    name, renamed = draft.name_of(item, "on_demand")
    outputs = {output: plain_name(output) for output in found.outputs}
    named = {"inputs": sequence(found.code)}
    named |= {"request": mapping(found.request)} if found.request else {}
    named["outputs"] = mapping({outputs[output]: typed(dtype) for output, dtype in found.outputs.items()})
    if item.given.get("description"):
        named["description"] = text(str(item.given["description"]))
    draft.write("on_demand", call("@hr.on_demand", [], named) + "\n" + _body(name, mode, function, found, outputs))
    draft.on_demand[id(item)] = name, outputs
    draft.report.remark(_REMARK)
    notes = [f"An on-demand feature has no {key} here." for key in ("tags", "owner") if item.given.get(key)]
    if item.given.get("write_to_online_store"):
        notes.append("It is computed when it is read, never when rows are written.")
    how = {"pandas": "its function of pandas", "python": "its function of lists"}.get(mode, "its function of one row")
    feast_name = str(item.given.get("name", name))
    draft.report.add(item.kind, feast_name, f"on-demand {name}, {how}", renamed, *notes)


def _body(name: str, mode: str, function: Function, found: _Inputs, outputs: Mapping[str, str]) -> str:
    columns = mapping(found.columns)
    made: Any = {
        "pandas": f"{function.name}(_as_frame(columns))",
        "python": f"{function.name}(_as_lists(columns))",
        "singleton": f"_row_by_row({function.name}, columns)",
    }[mode]
    names = mapping({output: text(own) for output, own in outputs.items()})
    body = f"columns = {columns}\nreturn {call('_columns', [made, names])}\n"
    parameters = dict.fromkeys([*found.columns.values(), *found.request])
    return f"def {name}({', '.join(parameters)}):\n{function.text}\n\n" + textwrap.indent(body, "    ")
