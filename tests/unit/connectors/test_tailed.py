"""Files that grow, as a stream."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

import headrace as hr
from headrace.connectors import tailed_lines
from headrace.connectors.base import RAW
from headrace.connectors.streams import OFFSET, PARTITION, Received
from headrace.connectors.tailed import TailedFiles
from headrace.errors import AgedOutError, SettingsError, StreamError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in" / "a.jsonl"


@pytest.fixture
def stream(tmp_path: Path) -> TailedFiles:
    return TailedFiles(tmp_path, hr.Files("in/*.jsonl"))


NAME = "in/a.jsonl"


def texts(received: Received) -> list[str]:
    return received.frame[RAW].to_list()


def test_a_line_is_read_once_it_is_whole(file: Path, stream: TailedFiles) -> None:
    file.write_bytes(b'{"n": 1}\n{"n": ')
    assert stream.bounds() == {NAME: (0, 9)}
    received = stream.poll({NAME: 0}, 10, 0)
    assert texts(received) == ['{"n": 1}']
    assert received.ends == {NAME: 9}
    assert stream.poll(received.ends, 10, 0.05).frame.is_empty()
    with file.open("ab") as more:
        more.write(b"2}\n")
    received = stream.poll(received.ends, 10, 0)
    assert texts(received) == ['{"n": 2}']
    assert received.frame[OFFSET].to_list() == [9]
    assert received.ends == {NAME: 18} == {NAME: stream.bounds()[NAME].head}


def test_the_head_is_found_behind_a_long_torn_line(file: Path, stream: TailedFiles) -> None:
    file.write_bytes(b"a\n" + b"x" * 100_000)
    assert stream.bounds() == {NAME: (0, 2)}
    file.write_bytes(b"x" * 100_000)
    assert stream.bounds() == {NAME: (0, 0)}


def test_ends_of_lines_and_a_byte_order_mark_are_no_text(file: Path, stream: TailedFiles) -> None:
    file.write_bytes(b"\xef\xbb\xbfa\r\n\r\n\nb\n\xef\xbb\xbfc\n")
    received = stream.poll({NAME: 0}, 10, 0)
    assert texts(received) == ["a", "b", "\ufeffc"]
    assert received.frame[OFFSET].to_list() == [0, 9, 11]


def test_a_tombstone_among_envelopes_is_left_out(tmp_path: Path, file: Path, stream: TailedFiles) -> None:
    file.write_bytes(b"null\n{}\n")
    assert texts(stream.poll({NAME: 0}, 10, 0)) == ["null", "{}"]
    envelopes = TailedFiles(tmp_path, hr.Files("in/*.jsonl", format="debezium"))
    assert texts(envelopes.poll({NAME: 0}, 10, 0)) == ["{}"]
    assert envelopes.poll({NAME: 0}, 10, 0).ends == {NAME: 8}


def test_each_file_gets_its_share(file: Path, stream: TailedFiles) -> None:
    other, third = file.with_name("b.jsonl"), file.with_name("c.jsonl")
    file.write_bytes(b"a\n" * 100)
    other.write_bytes(b"b\n" * 2)
    third.write_bytes(b"c\n" * 100)
    received = stream.poll(dict.fromkeys(stream.bounds(), 0), 30, 0)
    assert received.frame[PARTITION].value_counts(sort=True).rows() == [
        ("in/c.jsonl", 18), (NAME, 10), ("in/b.jsonl", 2),
    ]  # fmt: skip
    assert received.frame.equals(received.frame.sort(PARTITION, OFFSET))
    assert received.ends == {NAME: 20, "in/b.jsonl": 4, "in/c.jsonl": 36}


@pytest.mark.parametrize("content", [b"a\n", b"", b"x" * 9 + b"\n"])
def test_a_file_that_was_cut_off_or_replaced_is_told(file: Path, stream: TailedFiles, content: bytes) -> None:
    file.write_bytes(b"aa\nbb\n")
    ends = stream.poll({NAME: 0}, 10, 0).ends
    file.write_bytes(content)
    with pytest.raises(StreamError, match="The file was cut off or replaced"):
        stream.poll(ends, 10, 0)
    with pytest.raises(StreamError, match="The file was cut off or replaced"):
        stream.read({NAME: (0, 6)})


def test_a_file_that_went_is_missed(file: Path, stream: TailedFiles) -> None:
    file.write_bytes(b"a\n")
    file.unlink()
    assert stream.bounds() == {}
    with pytest.raises(AgedOutError, match="is gone"):
        stream.poll({NAME: 2}, 10, 0)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match=r"no file matches 'on/\*\.jsonl'"):
        TailedFiles(tmp_path, hr.Files("on/*.jsonl")).bounds()
    (tmp_path / "on").mkdir()
    assert TailedFiles(tmp_path, hr.Files("on/*.jsonl")).bounds() == {}
    assert TailedFiles(tmp_path, hr.Files("on/*/{date}.jsonl")).bounds() == {}


def test_only_lines_of_json_can_be_tailed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="are parquet, which can't be read while they grow"):
        TailedFiles(tmp_path, hr.Files("in/*.parquet"))


def test_a_line_without_an_end_is_no_line(file: Path, stream: TailedFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailed_lines, "LONGEST_LINE_BYTES", 3_000_000)
    file.write_bytes(b"x" * 2_500_000 + b"\n" + b"y" * 4_000_000)
    received = stream.poll({NAME: 0}, 1, 0)
    assert received.ends == {NAME: 2_500_001}
    with pytest.raises(StreamError, match=r"no line ends in the \d+ bytes behind byte 2500001"):
        stream.poll(received.ends, 1, 0)


def test_memory_does_not_grow_with_a_file(file: Path, stream: TailedFiles) -> None:
    line = b'{"n": "' + b"x" * 1_000 + b'"}\n'
    file.write_bytes(line * 50_000)
    tracemalloc.start()
    received = stream.poll({NAME: 0}, 100, 0)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert received.frame.height == 100
    assert peak_bytes < 10_000_000
    whole = stream.poll({NAME: 0}, 10**9, 0)
    assert whole.frame.height == 50_000
