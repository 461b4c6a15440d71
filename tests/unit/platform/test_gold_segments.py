"""What the parts of the covered time were computed from, as newer parts take the place of older ones."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from headrace.lake.base import Commit
from headrace.platform import gold
from headrace.platform.gold import Segment, joined_segments, overridden, segments_of, segments_text

SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 10), st.integers(1, 5)), min_size=1, max_size=12)


def covered(segments: list[Segment]) -> dict[int, int]:
    """For each instant, the version that its steps were computed from."""
    return {time: s.silver_version for s in segments for time in range(s.since, s.until)}


def written(spans: list[tuple[int, int, int]]) -> list[Segment]:
    segments: list[Segment] = []
    for number, (since, length, version) in enumerate(spans):
        segments = overridden(segments, Segment(since, since + length, version, f"digest {number}"))
    return segments


@given(SPANS)
def test_each_instant_belongs_to_the_last_that_wrote_it(spans: list[tuple[int, int, int]]) -> None:
    expected = {time: version for since, length, version in spans for time in range(since, since + length)}
    segments = written(spans)
    assert covered(segments) == expected
    assert segments == sorted(segments, key=lambda s: s.since)
    assert all(one.until <= other.since for one, other in pairwise(segments))
    assert segments_of({"segments": segments_text(segments)}) == segments


@given(SPANS, st.lists(st.tuples(st.integers(1, 6), st.integers(0, 45)), max_size=6))
def test_joined_segments_are_stale_from_the_same_instant(
    spans: list[tuple[int, int, int]], known: list[tuple[int, int]]
) -> None:
    commits = [Commit(version, 0, {"min_known_us": str(instant)}) for version, instant in known]
    segments = written(spans)
    many, gold.MANY_SEGMENTS = gold.MANY_SEGMENTS, 1
    try:
        joined = joined_segments(segments, commits)
    finally:
        gold.MANY_SEGMENTS = many
    assert covered(joined).keys() == covered(segments).keys()
    assert stale_from(joined, known) == stale_from(segments, known)
    assert joined[-1].carry_digest == segments[-1].carry_digest


def stale_from(segments: list[Segment], known: list[tuple[int, int]]) -> int | None:
    found = [
        max(s.since, instant)
        for s in segments
        for version, instant in known
        if version > s.silver_version and instant < s.until
    ]
    return min(found, default=None)
