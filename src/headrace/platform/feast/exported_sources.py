"""What an exported view reads: its source's own files where Feast can do with them as headrace does, else its steps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from headrace.definitions.locations import Files, Kafka
from headrace.definitions.sources import EventSource
from headrace.definitions.views import FeatureView, Selection
from headrace.definitions.windows import Lifetime
from headrace.platform.feast.code import call, text
from headrace.platform.feast.types import file_columns
from headrace.platform.pinned import gold_of

if TYPE_CHECKING:
    from headrace.definitions.aggregations import Aggregation
    from headrace.platform.context import Context
    from headrace.types import DataType

_FOLDER: Final = re.compile(r"(?P<folder>[^*?\[{]+)/(\*\*/)?\*\.parquet")
_WIDER: Final[dict[type, pl.DataType]] = {
    pl.Int8: pl.Int32(), pl.Int16: pl.Int32(), pl.UInt8: pl.Int32(), pl.UInt16: pl.Int32(), pl.UInt32: pl.Int64(),
    pl.Decimal: pl.Float64(), pl.Date: pl.Datetime("us", "UTC"),
}  # fmt: skip
"""For types that Feast has not, those it has."""
_SPARK: Final = {"Int64": "long", "Int32": "integer", "Float64": "double", "Float32": "float", "Bool": "boolean",
                 "Timestamp": "timestamp"}  # fmt: skip


def reads_files(view: FeatureView, root: Path) -> str:
    """Why a view can't read its source's files in Feast; empty where it can."""
    if not isinstance(view.source, EventSource):
        return "Feast has no source whose rows are updated and end"
    if view.transform is not None or view.where or view.event_time:
        return "it changes or filters its rows"
    if any(not _is_plain(feature) for feature in view.features.values()):
        return "Feast does not compute windows, conditions and other aggregates in batch"
    return _unreadable(view, root)


def _unreadable(view: FeatureView, root: Path) -> str:
    source = view.source
    if source.personal:
        return "its source masks columns"
    if source.batch is None or source.batch.format != "parquet" or not _path(root, source.batch):
        return "its source's files are not one file or folder of Parquet"
    times = {source.event_time, source.available_time}
    columns = [str(feature.column) for feature in view.features.values()]
    if times & set(columns) or len(set(columns)) < len(columns):
        return "it has a column under two names"
    return "" if _agrees(view) else "its features or keys have other names than its columns"


def _agrees(view: FeatureView) -> bool:
    """Columns are renamed by the source in Feast, for all its views; so only what has its own name is left to it."""
    return all(feature.column == name for name, feature in view.features.items()) and not view.keys


def _is_plain(feature: Aggregation) -> bool:
    plain = feature.function == "last" and isinstance(feature.window, Lifetime)
    return plain and not (feature.where or feature.skip_nulls or feature.default is not None)


def _path(root: Path, files: Files) -> str:
    """The file or the folder of a pattern; empty where it is neither."""
    pattern = str(root.resolve() / files.pattern)
    if found := _FOLDER.fullmatch(pattern):
        return found["folder"]
    return "" if re.search(r"[*?\[{]", pattern) else pattern


def feast_source(view: FeatureView, context: Context, variable: str) -> str:
    """A source as code; with a stream, the push source or topic that has the files as its batch."""
    source = view.source
    assert source.batch is not None
    streamed = source.stream is not None
    named = {"name": text(f"{source.name}_batch" if streamed else source.name)}
    named |= {"path": text(_path(context.root, source.batch)), "timestamp_field": text(str(source.event_time))}
    named |= {"created_timestamp_column": text(source.available_time)} if source.available_time else {}
    named |= {key: text(value) for key in ("description", "owner") if (value := getattr(source, key))}
    batch = call("FileSource", [], named)
    if not streamed:
        return f"{variable} = {batch}"
    named = {"name": text(source.name), "batch_source": batch}
    if not isinstance(source.stream, Kafka):
        return f"{variable} = {call('PushSource', [], named)}"
    columns = ", ".join(f"{name} {_SPARK.get(dtype.name, 'string')}" for name, dtype in source.schema.items())
    named |= {"topic": text(source.stream.topic), "kafka_bootstrap_servers": text(context.settings.kafka)}
    named |= {"timestamp_field": text(str(source.event_time)), "message_format": f"JsonFormat({text(columns)})"}
    return f"{variable} = {call('KafkaSource', [], named)}"


def write_steps(context: Context, view: FeatureView, file: Path) -> tuple[int, dict[str, DataType]]:
    """Write a view's published steps as Parquet, in types that Feast reads: how many there are, and the types.

    Raises
    ------
    NotAppliedError
        If nothing has been published under the view's definition.
    """
    scan = gold_of(context, Selection(view)).scan()
    schema = scan.collect_schema()
    names = [*view.entity_keys, *view.features]
    columns = [pl.col(name).cast(_WIDER.get(type(schema[name]), schema[name])) for name in names]
    steps = scan.select(*columns, pl.col("valid_from")).sort("valid_from").collect()
    steps.write_parquet(file)
    found = file_columns(file)
    return steps.height, {name: dtype for name in names if (dtype := found[name]) is not None}
