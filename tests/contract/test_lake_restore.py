"""Bringing the content of an older version back, in each lake."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from headrace.errors import ConflictError, LakeError, VersionGoneError
from headrace.lake.base import Lake, Table
from headrace.lake.layout import optimize
from tests.contract.lakes import DAY_1, DAY_2, OPENERS, SCHEMA, commit, ids, rows


@pytest.fixture(params=list(OPENERS))
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Table:
    lake: Lake = OPENERS[request.param](tmp_path / "lake")
    return lake.table("gold", "driver_now")


def restore(table: Table, version: int, **options: Any) -> int | None:
    return table.restore(version, metadata={"kind": "rollback"}, **options)


def content(rows: pl.LazyFrame) -> list[dict[str, Any]]:
    return rows.sort("id").collect().to_dicts()


def three_versions(table: Table) -> None:
    """1, 2 | 3; then 1, 2 | 4, 5; then 9 | 4, 5."""
    first = [table.stage(rows(1, 2), DAY_1), table.stage(rows(3, day=DAY_2), DAY_2)]
    table.commit(first, schema=SCHEMA, mode="append", partition_by=["day"], metadata={})
    commit(table, 4, 5, day=DAY_2, mode="replace", replace_partitions=[DAY_2])
    commit(table, 9, mode="replace", replace_partitions=[DAY_1])


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_restored_version_reads_as_it_did(table: Table, version: int) -> None:
    three_versions(table)
    assert restore(table, version, expected_version=2) == 3
    assert table.scan().sort("id").collect().equals(table.scan(version).sort("id").collect())
    assert {file.path for file in table.files()} == {file.path for file in table.files(version)}
    assert [ids(table, old) for old in range(3)] == [[1, 2, 3], [1, 2, 4, 5], [4, 5, 9]]
    assert table.commit_at(3).metadata == {"kind": "rollback"}


def test_a_restored_file_keeps_its_statistics(table: Table) -> None:
    floats = pl.Series([0.1, None], dtype=pl.Float32)
    frame = rows(1, 2).with_columns(id=pl.Series([None, 7]), f=floats, t=pl.lit("x" * 100), n=pl.lit(None, pl.Int8))
    table.commit([table.stage(frame, DAY_1)], schema=frame.schema, mode="append", partition_by=["day"], metadata={})
    before = table.files()
    assert before[0].nulls == {"id": 1, "at": 0, "f": 1, "t": 0, "n": 2}
    commit(table, mode="replace", replace_partitions=[DAY_1])
    restore(table, 0)
    assert table.files() == before
    assert table.scan().filter(pl.col("id") == 7).collect().height == 1
    assert table.scan().filter(pl.col("n").is_null()).collect().height == 2


def test_every_reader_of_the_newest_version_sees_it(table: Table) -> None:
    three_versions(table)
    restore(table, 0)
    handle = DeltaTable(table.location)
    dataset = handle.to_pyarrow_dataset()
    assert sorted(dataset.to_table()["id"].to_pylist()) == [1, 2, 3]
    assert content(pl.scan_delta(table.location).select("id")) == [{"id": 1}, {"id": 2}, {"id": 3}]
    found = duckdb.connect().register("steps", dataset).sql("SELECT id FROM steps WHERE id > 1 ORDER BY id").fetchall()
    assert found == [(2,), (3,)]


def test_restoring_what_was_rewritten_since(table: Table) -> None:
    for number in (5, 3, 9, 1):
        commit(table, number)
    optimize(table, ["id"], "at")
    commit(table, 100)
    assert restore(table, 3) == 6
    assert ids(table) == [1, 3, 5, 9]
    assert len(table.files()) == 4
    assert restore(table, 4) == 7
    assert ids(table) == [1, 3, 5, 9]
    assert len(table.files()) == 1


def test_back_and_forth_beyond_checkpoints(table: Table) -> None:
    three_versions(table)
    for number in range(45):
        restore(table, number % 3)
        assert ids(table) == ids(table, number % 3)
    assert ids(table) == [4, 5, 9]
    assert {file.path for file in table.files()} == {file.path for file in table.files(2)}
    commit(table, 11)
    assert ids(table) == [4, 5, 9, 11]


def test_restoring_the_newest_version_says_something_and_changes_nothing(table: Table) -> None:
    three_versions(table)
    before = table.files()
    assert restore(table, 2, expected_version=2) == 3
    assert table.files() == before
    assert table.commit_at(3).metadata == {"kind": "rollback"}


def test_restoring_an_empty_version_empties_the_table(table: Table) -> None:
    commit(table, metadata={"n": "0"})
    commit(table, 1)
    restore(table, 0)
    assert table.files() == []
    assert ids(table) == []


def test_a_column_that_was_added_since_stays_and_is_null(table: Table) -> None:
    commit(table, 1)
    wide = rows(2).with_columns(note=pl.lit("new"))
    table.commit([table.stage(wide, DAY_1)], schema=wide.schema, mode="replace", partition_by=["day"], metadata={},
                 replace_partitions=[DAY_1])  # fmt: skip
    restore(table, 0)
    assert table.scan().drop("note").collect().equals(table.scan(0).collect())
    assert table.scan().collect()["note"].to_list() == [None]
    assert table.scan().filter(pl.col("note").is_null()).collect().height == 1


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"id": ["a"]}, "its column 'id' is Int64, and String in the newest"),
        ({}, "'id' is Int64, and the newest has none"),
    ],
)
def test_a_version_with_other_columns_is_not_restored(table: Table, other: dict[str, Any], found: str) -> None:
    commit(table, 1)
    frame = rows(1).drop("id", "at").with_columns(pl.Series(name, values) for name, values in other.items())
    table.commit([table.stage(frame, DAY_1)], schema=frame.schema, mode="replace", partition_by=["day"], metadata={})
    with pytest.raises(LakeError, match=f"version 0 can't be restored: .*{found}"):
        restore(table, 0)
    assert table.version() == 1


def test_a_vacuumed_version_is_not_restored(table: Table) -> None:
    three_versions(table)
    gone = [file.path for file in table.files(0)]
    table.vacuum([1], newer_than_us=None)
    (missing,) = table.missing_files(0)
    assert missing in gone
    assert [table.missing_files(version) for version in (1, 2)] == [[], []]
    with pytest.raises(VersionGoneError, match=rf"{missing} of version 0 is gone \(1 of its 2 files are\): vacuum"):
        restore(table, 0)
    assert (table.version(), ids(table)) == (2, [4, 5, 9])
    assert restore(table, 1) == 3
    assert ids(table) == [1, 2, 4, 5]


def test_a_version_with_a_damaged_file_is_not_restored(table: Table) -> None:
    three_versions(table)
    (old,) = [file for file in table.files(0) if file.partition == DAY_2]
    with Path(table.location, old.path).open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(LakeError, match=f"{old.path} is damaged: it has"):
        restore(table, 0)
    assert ids(table) == [4, 5, 9]


@pytest.mark.parametrize("version", [-1, 3])
def test_a_version_that_is_not_there_is_told(table: Table, version: int) -> None:
    three_versions(table)
    for ask in (table.commit_at, table.missing_files, lambda version: restore(table, version)):
        with pytest.raises(LakeError, match=f"there is no version {version}"):
            ask(version)


def test_who_read_before_another_committed_is_refused(table: Table) -> None:
    three_versions(table)
    with pytest.raises(ConflictError, match="at version 2, and 1 was expected"):
        restore(table, 0, expected_version=1)
    assert ids(table) == [4, 5, 9]


def test_a_restore_with_a_transaction_is_done_once(table: Table) -> None:
    three_versions(table)
    assert restore(table, 0, transaction=("rollback", 1)) == 3
    commit(table, 50)
    assert restore(table, 0, transaction=("rollback", 1)) is None
    assert ids(table) == [1, 2, 3, 50]


def test_one_of_many_restores_at_once_wins(table: Table) -> None:
    three_versions(table)
    made: list[int | None] = []
    refused: list[ConflictError] = []

    def attempt(version: int) -> None:
        try:
            made.append(restore(table, version, expected_version=2))
        except ConflictError as error:
            refused.append(error)

    threads = [threading.Thread(target=attempt, args=(number % 2,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (made, len(refused)) == ([3], 3)
    assert ids(table) in ([1, 2, 3], [1, 2, 4, 5])


def test_a_restore_on_top_of_an_append_removes_what_was_appended(table: Table) -> None:
    """Without an expected version, the newest state is what is restored from, whoever is faster."""
    three_versions(table)
    appends = threading.Thread(target=lambda: [commit(table, number) for number in range(20, 26)])
    appends.start()
    restored = [restore(table, 0) for _ in range(3)]
    appends.join()
    last = restored[-1]
    assert last is not None
    later = [commit.version for commit in table.commits(since=last)]
    assert ids(table, last) == [1, 2, 3]
    assert ids(table) == [1, 2, 3, *range(26 - len(later), 26)]
