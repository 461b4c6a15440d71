"""Files that are staged, read and committed apart, in each lake."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.errors import ConflictError, LakeError
from headrace.lake.base import Lake, StagedFile, Table
from tests.contract.lakes import DAY_1, DAY_2, OPENERS, SCHEMA, commit, ids, rows

ALL_TYPES: dict[str, tuple[Any, Any]] = {
    "b": (pl.Boolean, True), "i8": (pl.Int8, -1), "i16": (pl.Int16, 1), "i32": (pl.Int32, 1), "i64": (pl.Int64, 2**62),
    "u8": (pl.UInt8, 255), "u16": (pl.UInt16, 65_535), "u32": (pl.UInt32, 2**32 - 1), "f32": (pl.Float32, 0.5),
    "f64": (pl.Float64, 0.1), "text": (pl.String, "ü"), "bytes": (pl.Binary, b"\xff"),
    "day": (pl.Date, date(2026, 1, 1)),
    "at": (pl.Datetime("us", "UTC"), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
    "naive": (pl.Datetime("us"), datetime(2026, 1, 1)), "money": (pl.Decimal(18, 4), Decimal("1.2500")),  # noqa: DTZ001
    "vector": (pl.Array(pl.Float32, 2), [1.0, 2.0]), "times": (pl.List(pl.Datetime("us", "UTC")), []),
    "sums": (pl.List(pl.Decimal(10, 2)), [Decimal("0.10"), None]), "small": (pl.List(pl.UInt8), [255]),
    "vectors": (pl.List(pl.Array(pl.UInt16, 2)), [[1, 65_535]]),
    "fields": (pl.Struct({"a": pl.UInt8, "b": pl.List(pl.UInt32)}), {"a": 1, "b": [2]}),
}  # fmt: skip


@pytest.fixture(params=list(OPENERS))
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    lake: Lake = OPENERS[request.param](tmp_path / "lake")
    return lake.table("gold", "driver_now")


def as_read_back(staged: StagedFile) -> StagedFile:
    return StagedFile.from_json(json.loads(json.dumps(staged.to_json())))


def test_a_staged_file_comes_back_from_json_as_it_was(table: Table) -> None:
    frame = pl.DataFrame({name: pl.Series([value, None], dtype=dtype) for name, (dtype, value) in ALL_TYPES.items()})
    staged = table.stage(frame, DAY_1)
    back = as_read_back(staged)
    assert back == staged
    assert list(back.columns.items()) == list(frame.schema.items())
    assert table.scan_staged([back]).collect().equals(frame)
    table.commit([back], schema=pl.Schema(back.columns), mode="append", partition_by=["day"], metadata={})
    assert table.scan_staged([back]).collect().equals(frame)
    assert table.files()[0].rows == 2


def test_a_candidate_is_read_before_the_table_exists(table: Table) -> None:
    staged = [table.stage(rows(1, 2), DAY_1), table.stage(rows(3, day=DAY_2), DAY_2)]
    found = table.scan_staged(staged)
    assert found.collect().equals(pl.concat([rows(1, 2), rows(3, day=DAY_2)]))
    assert found.filter(pl.col("id") > 2).collect()["day"].to_list() == [date(2026, 1, 2)]
    assert not table.exists()


def test_a_candidate_is_read_alone(table: Table) -> None:
    commit(table, 1)
    assert table.scan_staged([table.stage(rows(2), DAY_1)]).collect()["id"].to_list() == [2]
    assert ids(table) == [1]


def test_a_candidate_of_files_with_more_columns_and_fewer(table: Table) -> None:
    wide = rows(2).with_columns(note=pl.lit("new"))
    found = table.scan_staged([table.stage(rows(1), DAY_1), table.stage(wide, DAY_1)]).collect()
    assert found.select("id", "note").rows() == [(1, None), (2, "new")]
    other = table.stage(rows(3).with_columns(id=pl.lit("a")), DAY_1)
    with pytest.raises(LakeError, match="column 'id' is String, and Int64 in others"):
        table.scan_staged([table.stage(rows(1), DAY_1), other])


def test_a_candidate_without_files_has_the_columns_that_are_known(table: Table) -> None:
    assert table.scan_staged([]).collect().shape == (0, 0)
    assert table.scan_staged([], SCHEMA).collect().schema == SCHEMA
    commit(table, 1)
    assert table.scan_staged([]).collect().equals(rows())


def test_a_candidate_whose_file_is_gone_or_cut_short_is_told(table: Table) -> None:
    kept, lost = table.stage(rows(1), DAY_1), table.stage(rows(2), DAY_1)
    path = Path(table.location, lost.path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(LakeError, match=r"candidate file .* can't be used: it has .* bytes, and was written with"):
        table.scan_staged([kept, lost])
    path.unlink()
    with pytest.raises(LakeError, match=rf"candidate file .*{lost.path} can't be used: it is gone\. Run the command"):
        table.scan_staged([kept, lost])


def test_files_of_an_older_version_are_read_alone(table: Table) -> None:
    commit(table, 1)
    commit(table, 2, mode="replace", replace_partitions=[DAY_1])
    assert table.scan_files(table.files(0)).collect()["id"].to_list() == [1]


def test_a_commit_removes_the_files_it_names(table: Table) -> None:
    for number in range(3):
        commit(table, number)
    files = {file.minimum["id"]: file for file in table.files()}
    assert commit(table, 10, removed=[files[0], files[2]], expected_version=2) == 3
    assert ids(table) == [1, 10]
    assert ids(table, 2) == [0, 1, 2]


def test_a_commit_may_remove_and_add_nothing(table: Table) -> None:
    commit(table, 1)
    commit(table, removed=table.files())
    assert table.files() == []


def test_files_are_removed_next_to_partitions(table: Table) -> None:
    commit(table, 1)
    commit(table, 2, day=DAY_2)
    commit(table, 3, day=DAY_2)
    (second,) = [file for file in table.files() if file.minimum["id"] == 2]
    commit(table, 9, mode="replace", replace_partitions=[DAY_1], removed=[second])
    assert ids(table) == [3, 9]
    commit(table, mode="replace", replace_partitions=[DAY_2], removed=table.files())
    assert ids(table) == []


def test_a_file_that_was_removed_meanwhile_is_a_conflict(table: Table) -> None:
    commit(table, 1)
    before = table.files()
    commit(table, 2, mode="replace", replace_partitions=[DAY_1])
    with pytest.raises(ConflictError, match=f"{before[0].path} was replaced meanwhile"):
        commit(table, 3, removed=before)
    assert ids(table) == [2]


def test_a_first_commit_has_nothing_to_remove(table: Table) -> None:
    commit(table, 1)
    other = table.files()
    table.delete()
    with pytest.raises(ConflictError, match="was replaced meanwhile"):
        commit(table, 2, removed=other)
    assert not table.exists()


def test_a_repeated_transaction_is_skipped_though_its_files_are_removed(table: Table) -> None:
    commit(table, 1)
    before = table.files()
    commit(table, 2, removed=before, transaction=("publish", 1))
    assert commit(table, 2, removed=before, transaction=("publish", 1)) is None
    assert ids(table) == [2]


def test_one_commit_is_read_without_the_others(table: Table) -> None:
    for number in range(3):
        commit(table, number, metadata={"n": str(number)})
    assert [table.commit_at(version) for version in range(3)] == list(table.commits())
    Path(table.location, "_delta_log", f"{0:020d}.json").write_text("not a commit")
    assert table.commit_at(2).metadata == {"n": "2"}
    with pytest.raises(LakeError, match="there is no version 3"):
        table.commit_at(3)


def test_a_staged_path_is_what_tells_two_files_apart(table: Table) -> None:
    staged = table.stage(rows(1), DAY_1)
    assert as_read_back(replace(staged, path="day=2026-01-01/part-x.parquet")) != staged
