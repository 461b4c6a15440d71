"""How streams are printed."""

from __future__ import annotations

import pytest

from headrace.cli.streams_shown import print_stream_status
from headrace.types import SECOND
from tests.stream_statuses import NOW, status


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of each line that begins with a name."""
    return [line.split() for line in text.splitlines() if line.split()[:1] == [first]]


def test_a_stream_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_stream_status([status()], now=NOW)
    said = capsys.readouterr().out
    doing, done, epoch = rows(said, "gps")
    assert " ".join(doing) == "gps running 12,345 51,234 2,540 1.5 s 3.0 s ago 210 ms 640 ms"
    assert " ".join(done) == "gps 184,000 12 830 41 412.0 12,320 0 s ago"
    assert " ".join(epoch) == "gps 31.0 62.0 88.0 41.0 12.0 240.0"
    assert "Partitions" not in said


def test_partitions_are_shown_where_they_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    print_stream_status([status(worker=1, workers=2)], partitions=True, now=NOW)
    *_, first, second, third = rows(capsys.readouterr().out, "gps")
    assert " ".join(first) == "gps 2/2 0 1,000 1,040 40 200 ms 4.0 s ago"
    assert " ".join(second) == "gps 2/2 1 1,000 3,500 2,500 1.5 s 3.0 s ago"
    assert " ".join(third) == "gps 2/2 2 1,000 1,000 0 0 s – idle"


def test_what_somebody_has_to_look_at_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    silent = status("orders", measures_arrival=False, at=NOW - 90 * SECOND, pid=77, epoch_seconds={}, cut=0)
    print_stream_status([status(condition="failed", why="topic 'gps' is gone"), silent], now=NOW)
    said = capsys.readouterr().out
    assert "gps: failed: topic 'gps' is gone" in said
    assert rows(said, "gps")[0][:4] == ["gps", "failed", "12,345", "0"]
    assert "orders: its process 77 has not committed an epoch for 1m30s" in said
    assert "orders: its log does not say when it took a record, so freshness is not known" in said
    assert " ".join(rows(said, "orders")[0]) == "orders running 12,345 51,234 2,540 1.5 s – – –"


def test_a_stage_of_its_own_has_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    print_stream_status([status(epoch_seconds={"read": 0.5, "snapshot": 0.25, "total": 0.75})], now=NOW)
    said = capsys.readouterr().out
    assert ["stream", "read", "decode", "compute", "write", "commit", "snapshot", "total"] in map(
        str.split, said.splitlines()
    )
    assert " ".join(rows(said, "gps")[2]) == "gps 500.0 – – – – 250.0 750.0"


def test_nothing_is_said_clearly(capsys: pytest.CaptureFixture[str]) -> None:
    print_stream_status([])
    assert capsys.readouterr().out == "No stream has run yet. Start one: headrace stream\n"


def test_it_fits_a_narrow_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    print_stream_status([status(condition="catching up")], partitions=True, now=NOW)
    assert "…" not in capsys.readouterr().out
