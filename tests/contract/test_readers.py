"""What each reader must do, whatever it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

import headrace as hr
from headrace.connectors.base import ROW, Decoded, open_reader
from headrace.definitions.locations import Files
from headrace.errors import SchemaChangedError, SourceError

SCHEMA = {"id": hr.Int64, "name": hr.String, "at": hr.Timestamp, "day": hr.Date, "ok": hr.Bool, "score": hr.Float64}
POLARS = {
    "id": pl.Int64(), "name": pl.String(), "at": pl.Datetime("us", "UTC"), "day": pl.Date(), "ok": pl.Boolean(),
    "score": pl.Float64(),
}  # fmt: skip
FRAME = pl.DataFrame(
    {
        "id": [1, 2, None],
        "name": ["ann", "b,\"ö\"", None],
        "at": [datetime(2026, 1, 5, 10, tzinfo=UTC), datetime(2026, 1, 5, 10, 0, 0, 1, tzinfo=UTC), None],
        "day": [date(2026, 1, 5), date(1969, 12, 31), None],
        "ok": [True, False, None],
        "score": [0.5, -1e300, None],
    },
    schema=POLARS,
)  # fmt: skip


def as_text(frame: pl.DataFrame) -> pl.DataFrame:
    stamps = [
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ") for name, t in frame.schema.items() if t == pl.Datetime
    ]
    return frame.with_columns(stamps)


def write_csv(frame: pl.DataFrame, path: Path) -> None:
    as_text(frame).write_csv(path)


def write_jsonl(frame: pl.DataFrame, path: Path) -> None:
    as_text(frame).write_ndjson(path)


def write_debezium(frame: pl.DataFrame, path: Path) -> None:
    rows = as_text(frame).with_columns(pl.col(pl.Date).cast(pl.String)).to_dicts()
    envelopes = [
        {"before": None, "after": row, "op": "c", "ts_us": 1_700_000_000_000_000 + place,
         "source": {"file": "binlog.000001", "pos": place, "row": 0}}
        for place, row in enumerate(rows)
    ]  # fmt: skip
    path.write_bytes(b"".join(msgspec.json.encode(envelope) + b"\n" for envelope in envelopes))


@dataclass(frozen=True)
class Format:
    name: str
    suffix: str
    write: Callable[[pl.DataFrame, Path], object]


FORMATS = [
    Format("parquet", ".parquet", lambda frame, path: frame.write_parquet(path)),
    Format("csv", ".csv", write_csv),
    Format("jsonl", ".jsonl", write_jsonl),
    Format("debezium", ".json", write_debezium),
]


@pytest.fixture(params=FORMATS, ids=lambda made: made.name)
def form(request: pytest.FixtureRequest) -> Format:
    found: Format = request.param
    return found


def source_of(form: Format, schema: Any = None, **options: Any) -> Any:
    schema = SCHEMA if schema is None else schema
    if form.name == "debezium":
        return hr.ChangeSource("s", primary_key="id", schema=schema, event_time="at", **options)
    return hr.EventSource("s", schema=schema, event_time="at", **options)


def read(form: Format, path: Path, source: Any = None) -> tuple[pl.DataFrame, Decoded]:
    reader = open_reader(source or source_of(form), Files(path.name, form.name))
    received = pl.concat(list(reader.pieces(path)))
    return received, reader.decode(received)


def test_rows_come_back_in_their_types_and_order(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"in{form.suffix}"
    form.write(FRAME, path)
    received, decoded = read(form, path)
    assert decoded.frame.select(list(SCHEMA)).equals(FRAME)
    assert decoded.failures.is_empty()
    assert decoded.added == ()
    assert received[ROW].is_sorted()
    assert received[ROW].n_unique() == 3


def test_many_rows_come_back_all(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"in{form.suffix}"
    many = pl.concat([FRAME.head(2)] * 500).with_columns(id=pl.int_range(1000), name=pl.lit("x"))
    form.write(many, path)
    _, decoded = read(form, path)
    assert decoded.frame.select(list(SCHEMA)).equals(many)


def test_the_same_pieces_come_each_time(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"in{form.suffix}"
    form.write(FRAME, path)
    reader = open_reader(source_of(form), Files(path.name, form.name))
    first, second = list(reader.pieces(path)), list(reader.pieces(path))
    assert [piece.equals(other) for piece, other in zip(first, second, strict=True)] == [True]


def test_columns_come_in_any_order(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"in{form.suffix}"
    form.write(FRAME.select(reversed(FRAME.columns)), path)
    assert read(form, path)[1].frame.select(list(SCHEMA)).equals(FRAME)


def test_a_missing_file_is_named(form: Format, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.x is gone"):
        read(form, tmp_path / "gone.x")


def test_a_dropped_column_never_passes(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"in{form.suffix}"
    form.write(FRAME.drop("score"), path)
    with pytest.raises(SchemaChangedError, match="'score'"):
        read(form, path)


def test_a_renamed_column_never_passes_and_is_told(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"in{form.suffix}"
    form.write(FRAME.rename({"score": "scores"}), path)
    with pytest.raises(SchemaChangedError, match="scores"):
        read(form, path)


def test_an_added_column_is_told_and_kept(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"in{form.suffix}"
    form.write(FRAME.with_columns(extra=pl.lit("new")), path)
    _, decoded = read(form, path)
    assert decoded.added == ("extra",)
    assert decoded.frame["extra"].to_list() == ["new"] * 3


def test_text_is_no_number(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"in{form.suffix}"
    form.write(FRAME.with_columns(id=pl.Series(["1", "x", None])), path)
    if form.name == "parquet":
        with pytest.raises(SchemaChangedError, match="column 'id' is String, and source 's' declares Int64"):
            read(form, path)
        return
    _, decoded = read(form, path)
    wrong = {"csv": ["x"], "jsonl": ['"1"', '"x"'], "debezium": ['"1"', '"x"']}[form.name]
    assert decoded.failures["found"].to_list() == wrong
    assert set(decoded.failures["reason"]) == {"wrong type"}


def test_a_fraction_is_no_whole_number(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"in{form.suffix}"
    form.write(FRAME.with_columns(id=pl.Series([1.5, 2.5, None])), path)
    if form.name == "parquet":
        with pytest.raises(SchemaChangedError, match="column 'id' is Float64"):
            read(form, path)
        return
    _, decoded = read(form, path)
    assert decoded.failures["found"].to_list() == ["1.5", "2.5"]
    assert decoded.frame["id"].to_list() == [None, None, None]


def test_a_number_that_is_too_large_is_told(form: Format, tmp_path: Path) -> None:
    if form.name == "parquet":
        pytest.skip("the file's type says so before any value is read")
    path = tmp_path / f"in{form.suffix}"
    form.write(FRAME.with_columns(id=pl.Series([300, 2, None])), path)
    _, decoded = read(form, path, source_of(form, SCHEMA | {"id": hr.UInt8}))
    assert decoded.failures["found"].to_list() == ["300"]
    assert decoded.frame["id"].to_list() == [None, 2, None]


def test_names_of_our_own_are_refused(form: Format, tmp_path: Path) -> None:
    path = tmp_path / f"in{form.suffix}"
    form.write(FRAME.with_columns(_hr_day=pl.lit("x")), path)
    with pytest.raises(SourceError, match="_hr_day"):
        read(form, path)
