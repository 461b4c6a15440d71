"""Input that can't be read: a clear error, and nothing published."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from headrace.connectors import lines as line_reading
from headrace.errors import HeadraceError, SourceError
from tests.ingesting import Project, frame, gps, ping, pings


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "landing").mkdir()
    return Project(tmp_path)


def refused(project: Project, pattern: str, message: str) -> None:
    """Refused with this message, and what was in silver is all there is."""
    project.source = gps(pattern)
    before = project.ids()
    with pytest.raises(SourceError, match=message) as error:
        project.ingest()
    assert str(error.value).endswith(".")
    assert project.ids() == before


def test_no_file_at_all(project: Project) -> None:
    project.put("b.csv", b"x")
    refused(project, "landing/*.jsonl", r"no file matches 'landing/\*\.jsonl' .* holds b\.csv")
    refused(project, "nowhere/*.jsonl", "no file matches 'nowhere")
    refused(project, "landing/a.jsonl", "no file matches 'landing/a.jsonl'")


def test_no_new_file_is_fine_once_there_were_some(project: Project) -> None:
    project.put("a.jsonl", pings(range(2))).rename(project.root / "gone")
    (project.root / "gone").rename(project.root / "landing/a.jsonl")
    project.ingest()
    (project.root / "landing/a.jsonl").unlink()
    assert project.ingest().files == 0


def test_a_truncated_parquet_file(project: Project) -> None:
    good = project.root / "landing/a.parquet"
    frame(pings(range(500))).write_parquet(good)
    whole = good.read_bytes()
    for size in (0, 3, len(whole) // 2, len(whole) - 1):
        good.write_bytes(whole[:size])
        refused(project, "landing/*.parquet", r"a\.parquet is no whole Parquet file .* fetch or write it again")


def test_parquet_damaged_in_the_middle(project: Project) -> None:
    good = project.root / "landing/a.parquet"
    frame(pings(range(5000))).write_parquet(good)
    content = bytearray(good.read_bytes())
    content[200:2000] = b"\xff" * 1800
    good.write_bytes(content)
    refused(project, "landing/*.parquet", r"a\.parquet is no whole Parquet file")


def test_a_file_that_is_something_else(project: Project) -> None:
    project.put("a.parquet", b"event_id,driver_id\n1,2\n" * 10)
    refused(project, "landing/*.parquet", r"a\.parquet is no whole Parquet file")


def test_one_broken_file_stops_the_others(project: Project) -> None:
    frame(pings(range(3))).write_parquet(project.root / "landing/a.parquet")
    project.put("b.parquet", b"PAR1")
    refused(project, "landing/*.parquet", r"b\.parquet")
    (project.root / "landing/b.parquet").unlink()
    assert project.ingest().accepted == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: it has not even a header"),
        (b"\n", "has no header"),
        (b"event_id,driver_id,ts,lat,status\n", "has a header and no rows"),
        (b"event_id,driver_id,ts,lat,lat,status\n1,2,3,4,5,6\n", "column 'lat' comes twice"),
        (b"event_id,driver_id,ts,lat,status,\n1,2,3,4,5,6\n", "it needs a name"),
        ("event_id,driver_id,ts,lat,status\n1,2,3,4,f\xe9\n".encode("latin1"), r"line 2: byte 0xe9 is not UTF-8"),
        ("event_id,driver_id,ts,lat,status\n1,2,3,4,f\n".encode("utf-16"), r"line 1: byte 0xff is not UTF-8"),
        (b"event_id;driver_id;ts;lat;status\n1;2;3;4;f\n", "column 'event_id', .* is missing"),
    ],
)
def test_broken_csv(project: Project, content: bytes, message: str) -> None:
    project.put("a.csv", content)
    refused(project, "landing/*.csv", message)


def test_csv_records_of_the_wrong_length_are_rejected_rows(project: Project) -> None:
    project.source = gps("landing/*.csv")
    good = "e{n},1,2026-01-05T10:00:00Z,48.5,free"
    rows = [
        "event_id,driver_id,ts,lat,status",
        good.format(n=1),
        "e2,1",
        good.format(n=3) + ",more",
        "",
        good.format(n=4),
    ]
    project.put("a.csv", "\r\n".join(rows).encode())
    report = project.ingest()
    assert report.rejected == {"unparsable line": 2}
    assert project.ids() == ["e1", "e4"]
    assert project.rows("quarantine")["_hr_row"].to_list() == [3, 4]
    assert project.rows()["_hr_row"].to_list() == [2, 6]


def test_quoted_csv_keeps_its_line_ends_and_commas(project: Project) -> None:
    project.source = gps("landing/*.csv", contract=[])
    records = ['"e,1",1,2026-01-05T10:00:00Z,,"two\nlines"', 'e2,"2",2026-01-05T10:00:00Z,1,"say ""hi"""', "e3,1", ""]
    text = "\n".join(["event_id,driver_id,ts,lat,status", *records])
    project.put("a.csv", text.encode())
    assert project.ingest().rejected == {"unparsable line": 1}
    rows = project.rows()
    assert rows["event_id"].to_list() == ["e,1", "e2"]
    assert rows["status"].to_list() == ["two\nlines", 'say "hi"']
    assert rows["lat"].to_list() == [None, 1.0]
    assert rows["_hr_row"].to_list() == [2, 4]


def test_a_quote_across_blocks_is_no_record_end(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from headrace.connectors import csv

    monkeypatch.setattr(csv, "PIECE_BYTES", 64)
    project.source = gps("landing/*.csv", contract=[])
    rows = [f'e{n},1,2026-01-05T10:00:00Z,1,"a\nb{n}"' for n in range(50)]
    project.put("a.csv", "\n".join(["event_id,driver_id,ts,lat,status", *rows]).encode())
    assert project.ingest().accepted == 50
    assert project.rows()["status"].to_list() == [f"a\nb{n}" for n in range(50)]


def test_csv_values_of_the_wrong_type_are_told(project: Project) -> None:
    project.source = gps("landing/*.csv")
    rows = [
        "event_id,driver_id,ts,lat,status", "e0,7,2026-01-05T10:00:00Z,48.5,free", "e1,7.0,2026-01-05T10:00:00Z,1,free",
        "e2, 7,2026-01-05T10:00:00Z,1,free", "e3,7,05/01/2026,1,free", "e4,7,2026-01-05T10:00:00Z,1,busy",
        "e5,7,2026-01-05T10:00:00Z,1,busy", "e6,7,2026-01-05T10:00:00Z,1,busy",
    ]  # fmt: skip
    project.put("a.csv", "\n".join(rows).encode())
    assert project.ingest().rejected == {"driver_id: wrong type": 2, "ts: wrong type": 1}
    assert project.ids() == ["e0", "e4", "e5", "e6"]


def test_json_lines_of_another_encoding(project: Project) -> None:
    project.put("a.jsonl", [*pings(range(2)), '{"event_id":"fé"}'.encode("latin1")])
    refused(project, "landing/*.jsonl", r"a\.jsonl, line 3: byte 0xe9 is not UTF-8")


def test_a_byte_order_mark_is_skipped(project: Project) -> None:
    path = project.put("a.jsonl", pings(range(2)))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert project.ingest().accepted == 2


def test_an_empty_file_of_json_lines_is_a_quiet_hour(project: Project) -> None:
    project.put("a.jsonl", b"")
    project.put("b.jsonl", pings(range(2)))
    assert project.ingest().accepted == 2
    assert project.ingest().files == 0


def test_lines_are_never_cut(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_reading, "PIECE_BYTES", 50)
    monkeypatch.setattr(line_reading.line_pieces, "__defaults__", (50,))
    project.put("a.jsonl", pings(range(40)))
    assert project.ingest().accepted == 40
    assert project.rows()["_hr_row"].to_list() == list(range(1, 41))


def test_odd_lines_are_rows_of_their_own(project: Project) -> None:
    odd = [b"[]", b"7", b'"x"', b"{}", b'{"a":NaN}', b"null", b'{"event_id":"a"}{"event_id":"b"}', b"\x01"]
    project.source = gps(max_rejected_share=1.0)
    project.put("a.jsonl", [*pings(range(100)), *odd])
    report = project.ingest()
    assert report.accepted == 100
    assert report.rejected_rows == 8


def test_a_folder_with_the_name_of_a_file_is_passed_over(project: Project) -> None:
    (project.root / "landing/x.jsonl").mkdir()
    project.put("a.jsonl", pings(range(2)))
    assert project.ingest().accepted == 2


def test_a_file_that_grows_while_it_is_read_is_refused(project: Project) -> None:
    path = project.put("a.jsonl", pings(range(2)))

    def grow(*_: object) -> None:
        with path.open("ab") as stream:
            stream.write(b"{}\n")

    from headrace.platform import landing
    from headrace.platform.ledger import Ledger

    reader = landing._with_end
    files = landing.new_files(project.context(), project.source, Ledger(()))
    grow()
    with pytest.raises(SourceError, match="was changed while it was read"):
        list(reader(files[0].file, [pl.DataFrame()]))


def test_every_error_is_ours(project: Project) -> None:
    project.put("a.jsonl", b"\x00\x01\x02" * 100)
    with pytest.raises(HeadraceError):
        project.ingest()


def test_an_unknown_source_is_told_with_the_nearest_name(project: Project) -> None:
    from headrace.platform.ingest import ingest

    with pytest.raises(HeadraceError, match=r"there is no source 'gsp'\. Did you mean 'gps'"):
        ingest(project.context(), "gsp")


def test_ping_is_a_good_row() -> None:
    assert set(ping(1)) == set(gps().schema)
