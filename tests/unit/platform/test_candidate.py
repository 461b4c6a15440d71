"""A candidate's record survives whatever a crash leaves of it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from headrace.lake.base import StagedFile
from headrace.platform.candidate import Candidate, Part, candidates
from headrace.platform.extent import Extent

EXTENT = Extent(0, 100, (), 3)
PARTS = [
    Part(since, since + 50, since == 0, 2, f"digest-{since}",
         (StagedFile(f"_hr_day=1970-01-01/part-{since}.parquet", {"_hr_day": "1970-01-01"}, 9, 2, "{}",
                     {"n": pl.Int64(), "at": pl.Datetime("us", "UTC")}),))
    for since in (0, 50)
]  # fmt: skip


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    made = Candidate.resume_or_begin(tmp_path, EXTENT, "run")
    for part in PARTS:
        made.add(part)
    return made


def test_a_record_is_read_back_whole(candidate: Candidate, tmp_path: Path) -> None:
    assert list(candidates(tmp_path)) == [candidate]
    assert (candidate.reached, candidate.steps, len(candidate.files)) == (100, 4, 2)
    assert Candidate.resume_or_begin(tmp_path, EXTENT, "another run") == candidate


def test_another_span_or_other_rows_are_another_candidate(candidate: Candidate, tmp_path: Path) -> None:
    other = Candidate.resume_or_begin(tmp_path, Extent(0, 100, (), 4), "another run")
    assert (other.run_id, other.parts, other.reached) == ("another run", [], 0)
    assert len(list(candidates(tmp_path))) == 2


def test_a_record_cut_at_any_byte_resumes_with_its_whole_lines(candidate: Candidate, tmp_path: Path) -> None:
    content = candidate.path.read_bytes()
    for length in range(len(content)):
        candidate.path.write_bytes(content[:length])
        whole = content[:length].count(b"\n")
        found = Candidate.resume_or_begin(tmp_path, EXTENT, f"anew-{length}")
        assert found.parts == PARTS[: max(whole - 1, 0)]
        for part in PARTS[len(found.parts) :]:
            found.add(part)
        assert Candidate.resume_or_begin(tmp_path, EXTENT, "x").parts == PARTS
        found.forget()


@pytest.mark.parametrize("content", ["", "{torn", "[]\n", "{}\n", "null\n"])
def test_a_record_that_is_none_is_left_alone(content: str, tmp_path: Path) -> None:
    path = tmp_path / "candidates" / "x.jsonl"
    path.parent.mkdir()
    path.write_text(content)
    assert list(candidates(tmp_path)) == []
    assert path.exists()
