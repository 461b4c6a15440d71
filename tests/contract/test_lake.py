"""What each lake must do, whatever it is made of."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.errors import ConflictError, LakeError
from headrace.lake import open_lake
from headrace.lake.base import Lake, Table
from headrace.lake.layout import optimize
from tests.contract.lakes import DAY_1, DAY_2, OPENERS, SCHEMA, commit, ids, rows


@pytest.fixture(params=list(OPENERS))
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    return OPENERS[request.param](tmp_path / "lake")


@pytest.fixture
def table(lake: Lake) -> Table:
    return lake.table("silver", "gps")


def test_a_table_begins_with_its_first_commit(table: Table) -> None:
    assert not table.exists()
    assert list(table.commits()) == []
    assert table.transaction_version("app") is None
    with pytest.raises(LakeError, match="there is no table at"):
        table.scan()
    assert commit(table, 1, 2) == 0
    assert table.exists()
    assert ids(table) == [1, 2]


def test_staged_files_are_invisible_until_they_are_committed(table: Table) -> None:
    commit(table, 1)
    staged = table.stage(rows(2), DAY_1)
    assert ids(table) == [1]
    assert staged.rows == 1
    assert (Path(table.location) / staged.path).stat().st_size == staged.size_bytes
    table.discard([staged])
    assert not (Path(table.location) / staged.path).exists()


def test_append_adds_and_older_versions_stay(table: Table) -> None:
    first, second = commit(table, 1), commit(table, 2, day=DAY_2)
    assert (first, second, table.version()) == (0, 1, 1)
    assert ids(table) == [1, 2]
    assert ids(table, version=0) == [1]


def test_replace_swaps_exactly_the_named_partitions(table: Table) -> None:
    commit(table, 1)
    commit(table, 2, day=DAY_2)
    staged = [table.stage(rows(3), DAY_1), table.stage(rows(4, day=DAY_2), DAY_2)]
    table.commit(staged, schema=SCHEMA, mode="replace", partition_by=["day"], replace_partitions=[DAY_1], metadata={})
    assert ids(table) == [2, 3, 4]


def test_replace_without_files_empties_a_partition(table: Table) -> None:
    commit(table, 1)
    commit(table, 2, day=DAY_2)
    commit(table, mode="replace", replace_partitions=[DAY_1])
    assert ids(table) == [2]


def test_replace_of_the_whole_table(table: Table) -> None:
    commit(table, 1)
    commit(table, 2, day=DAY_2)
    commit(table, 3, mode="replace")
    assert ids(table) == [3]


def test_a_transaction_is_committed_once(table: Table) -> None:
    assert commit(table, 1, transaction=("batch", 1)) == 0
    assert commit(table, 1, transaction=("batch", 1)) is None
    assert commit(table, 2, transaction=("batch", 2), also=[("other", 7)]) == 1
    assert table.transaction_version("batch") == 2
    assert table.transaction_version("other") == 7
    assert commit(table, 9, transaction=("other", 7)) is None
    assert ids(table) == [1, 2]


def test_a_commit_without_files_records_its_transaction(table: Table) -> None:
    assert commit(table, transaction=("batch", 1)) == 0
    assert commit(table, transaction=("batch", 2)) == 1
    assert table.transaction_version("batch") == 2
    assert ids(table) == []


def test_expected_version_guards_what_was_read(table: Table) -> None:
    commit(table, 1, expected_version=-1)
    with pytest.raises(ConflictError, match="at version 0, and -1 was expected"):
        commit(table, 2, expected_version=-1)
    commit(table, 2, expected_version=0)
    with pytest.raises(ConflictError, match="Run it again"):
        commit(table, 3, expected_version=0)
    assert ids(table) == [1, 2]


def test_metadata_comes_back_in_order_and_alone(table: Table) -> None:
    commit(table, 1, metadata={"batch": "a"})
    commit(table, 2, metadata={"batch": "b", "rows": "1"})
    commit(table, 3, metadata={"batch": "c"})
    assert [c.metadata for c in table.commits()] == [{"batch": "a"}, {"batch": "b", "rows": "1"}, {"batch": "c"}]
    assert [(c.version, c.metadata["batch"]) for c in table.commits(since=0)] == [(1, "b"), (2, "c")]
    assert list(table.commits(since=2)) == []
    assert all(c.timestamp_us > 1_700_000_000_000_000 for c in table.commits())


def test_metadata_and_transactions_outlive_checkpoints(table: Table) -> None:
    for number in range(45):
        commit(table, number, metadata={"n": str(number)}, transaction=(f"batch:{number}", 1))
    assert [c.metadata["n"] for c in table.commits()] == [str(number) for number in range(45)]
    assert table.transaction_version("batch:0") == 1
    assert ids(table, version=3) == [0, 1, 2, 3]


def test_metadata_stays_with_its_version_while_others_commit(table: Table) -> None:
    commit(table, 0, metadata={"n": "0"})

    def write() -> None:
        for number in range(1, 40):
            commit(table, metadata={"n": str(number)})

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while writer.is_alive():
        seen += [(c.version, c.metadata["n"]) for c in table.commits()]
    writer.join()
    assert {version for version, _ in seen} == {int(n) for _, n in seen}
    assert all(str(version) == n for version, n in seen)


def test_a_new_column_is_added_and_null_before(table: Table) -> None:
    commit(table, 1)
    wide = rows(2).with_columns(note=pl.lit("new"))
    table.commit([table.stage(wide, DAY_1)], schema=wide.schema, mode="append", partition_by=["day"], metadata={})
    assert table.scan().sort("id").collect()["note"].to_list() == [None, "new"]
    assert table.schema()["note"] == pl.String
    assert table.scan(version=0).collect().columns == ["id", "at", "day"]


def test_a_column_is_never_retyped(table: Table) -> None:
    commit(table, 1)
    other = rows(2).with_columns(id=pl.col("id").cast(pl.String))
    staged = table.stage(other, DAY_1)
    with pytest.raises(LakeError, match="column 'id' is Int64 there and can't become String"):
        table.commit([staged], schema=other.schema, mode="append", partition_by=["day"], metadata={})
    assert ids(table) == [1]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (pl.UInt8, 255), (pl.UInt16, 65_535), (pl.UInt32, 4_294_967_295), (pl.Int8, -128), (pl.Float32, 0.5),
        (pl.Boolean, True), (pl.Binary, b"\x00\xff"), (pl.String, "grüße"), (pl.Date, date(2026, 3, 1)),
        (pl.Datetime("us"), datetime(2026, 3, 1, 2, 30)),  # noqa: DTZ001 - naive is what is tested
        (pl.Datetime("us", "UTC"), datetime(2026, 3, 1, 2, 30, 0, 1, tzinfo=UTC)),
        (pl.Array(pl.Float32, 2), [1.0, 2.0]), (pl.List(pl.String), ["a", None]), (pl.Decimal(10, 2), "12.50"),
        (pl.List(pl.UInt8), [255, None]), (pl.List(pl.Array(pl.Float32, 2)), [[1.0, 2.0]]),
        (pl.Array(pl.UInt16, 2), [65_535, 1]), (pl.List(pl.List(pl.UInt32)), [[4_294_967_295], None]),
        (pl.Struct({"a": pl.UInt8, "b": pl.List(pl.UInt8)}), {"a": 255, "b": [255]}),
        (pl.List(pl.Datetime("us", "UTC")), [datetime(2026, 3, 1, tzinfo=UTC)]),
        (pl.List(pl.Datetime("us")), [datetime(2026, 3, 1, 2, 30)]),  # noqa: DTZ001 - naive is what is tested
    ],
)  # fmt: skip
def test_every_type_comes_back_as_it_was(table: Table, dtype: pl.DataType, value: Any) -> None:
    frame = pl.DataFrame({"v": pl.Series([value, None], dtype=pl.String if value == "12.50" else dtype).cast(dtype)})
    table.commit([table.stage(frame, {})], schema=frame.schema, mode="append", partition_by=[], metadata={})
    assert table.schema() == frame.schema
    assert table.scan().collect().equals(frame)
    assert table.scan_files(table.files()).collect().equals(frame)
    table.commit([table.stage(frame, {})], schema=frame.schema, mode="append", partition_by=[], metadata={})
    assert table.scan().collect().height == 2 * frame.height


def test_files_tell_their_values(table: Table) -> None:
    commit(table, 3, 5)
    commit(table, 9, day=DAY_2)
    by_day = {file.partition["day"]: file for file in table.files()}
    assert by_day["2026-01-01"].rows == 2
    assert (by_day["2026-01-01"].minimum["id"], by_day["2026-01-01"].maximum["id"]) == (3, 5)
    assert by_day["2026-01-01"].maximum["at"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert by_day["2026-01-02"].may_hold("id", 8, 10)
    assert not by_day["2026-01-01"].may_hold("id", 8, 10)
    assert by_day["2026-01-01"].may_hold("unknown", 8, 10)
    assert ids_of(table, [by_day["2026-01-02"]]) == [9]


def ids_of(table: Table, files: list[Any]) -> list[int]:
    return table.scan_files(files).collect()["id"].to_list()


def test_statistics_leave_out_what_they_cannot_bound(table: Table) -> None:
    frame = pl.DataFrame({"f": [1.0, float("nan")], "g": [1.0, 2.0], "t": ["a", "x" * 100]})
    table.commit([table.stage(frame, {})], schema=frame.schema, mode="append", partition_by=[], metadata={})
    (file,) = table.files()
    assert set(file.minimum) == {"g"}
    assert table.scan().filter(pl.col("f").is_nan()).collect().height == 1
    assert table.scan().filter(pl.col("t") > "b").collect().height == 1


def test_appends_from_many_threads_all_land(table: Table) -> None:
    commit(table, 0)
    threads = [threading.Thread(target=commit, args=(table, n)) for n in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids(table) == list(range(7))


def test_first_commits_from_many_threads_all_land(table: Table) -> None:
    threads = [threading.Thread(target=commit, args=(table, n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids(table) == list(range(4))


def test_one_transaction_from_many_threads_lands_once(table: Table) -> None:
    made: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: made.append(commit(table, 1, transaction=("batch", 1)))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ids(table) == [1]
    assert sorted(made, key=str) == [0, None, None, None]


def test_rewrite_keeps_rows_and_refuses_what_is_gone(table: Table) -> None:
    commit(table, 1)
    commit(table, 2)
    before = table.files()
    table.rewrite(before, [table.stage(rows(1, 2), DAY_1)], {"operation": "optimize"})
    assert ids(table) == [1, 2]
    assert len(table.files()) == 1
    with pytest.raises(ConflictError, match="was replaced meanwhile"):
        table.rewrite(before, [], {"operation": "optimize"})


def test_optimize_sorts_small_files_into_one_and_keeps_history(table: Table) -> None:
    for number in (5, 3, 9, 1):
        commit(table, number, number + 1)
    commit(table, 100, day=DAY_2)
    seen: list[tuple[int, int]] = []
    report = optimize(table, ["id"], "at", progress=lambda done, of: seen.append((done, of)))
    assert (report.partitions, report.files_before, report.files_after) == (1, 4, 1)
    assert seen == [(1, 1)]
    (file,) = [f for f in table.files() if f.partition == DAY_1]
    assert ids_of(table, [file]) == [1, 2, 3, 4, 5, 6, 9, 10]
    assert [c.metadata for c in table.commits(since=4)] == [{"operation": "optimize"}]
    assert ids(table, version=0) == [5, 6]
    assert optimize(table, ["id"], "at").partitions == 0


def test_optimize_cuts_a_large_partition_by_its_keys(table: Table) -> None:
    for first in range(0, 8_000, 1_000):
        commit(table, *range(first, first + 1_000))
    size_bytes = sum(file.size_bytes for file in table.files())
    optimize(table, ["id"], None, target_bytes=size_bytes // 3)
    files = sorted(table.files(), key=lambda file: file.minimum["id"])
    assert 3 <= len(files) <= 4
    assert all(a.maximum["id"] < b.minimum["id"] for a, b in pairwise(files))
    assert ids(table) == list(range(8_000))


def test_optimize_keeps_rows_whose_key_is_null(table: Table) -> None:
    for number in range(4):
        frame = pl.DataFrame({"id": [None, number], "at": None, "day": date(2026, 1, 1)}, schema=SCHEMA)
        table.commit([table.stage(frame, DAY_1)], schema=SCHEMA, mode="append", partition_by=["day"], metadata={})
    optimize(table, ["id"], "at", target_bytes=table.files()[0].size_bytes * 2)
    assert table.scan().collect()["id"].null_count() == 4
    assert table.scan().collect().height == 8


def test_a_partition_value_that_needs_escaping_is_refused(table: Table) -> None:
    with pytest.raises(LakeError, match="partition day='a/b'"):
        table.stage(rows(1), {"day": "a/b"})


def test_a_lock_is_held_by_one(lake: Lake) -> None:
    with lake.lock("ingest-gps"):
        code = f"from headrace.lake import open_lake\nwith open_lake({lake.location!r}).lock('ingest-gps'): pass"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "ConflictError: ingest-gps is already running in process" in other.stderr
    with lake.lock("ingest-gps"):
        pass


def test_a_lake_elsewhere_is_refused_clearly() -> None:
    with pytest.raises(LakeError, match="only folders of this machine"):
        open_lake("s3://bucket/lake")


def test_replacing_the_whole_table_may_retype_it(table: Table) -> None:
    commit(table, 1)
    other = pl.DataFrame({"id": ["a"], "day": [date(2026, 1, 1)]})
    staged = [table.stage(other, DAY_1)]
    table.commit(staged, schema=other.schema, mode="replace", partition_by=["day"], metadata={})
    assert table.scan().collect().equals(other)
    assert ids(table, version=0) == [1]


def test_adopting_takes_over_the_files_of_another_table(lake: Lake, table: Table) -> None:
    other = lake.table("rebuild", "gps")
    commit(other, 1, 2)
    commit(other, 3, day=DAY_2)
    table.commit(table.adopt(other), schema=SCHEMA, mode="replace", partition_by=["day"], metadata={})
    other.delete()
    other.delete()
    assert not other.exists()
    assert ids(table) == [1, 2, 3]
    assert {file.partition["day"]: file.maximum["id"] for file in table.files()} == {"2026-01-01": 2, "2026-01-02": 3}
