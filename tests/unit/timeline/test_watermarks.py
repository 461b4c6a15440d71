"""How far a stream has come: by the least of its partitions, and by the furthest."""

from __future__ import annotations

from headrace.timeline.watermarks import Watermarks

BOTH = ["gps/0", "gps/1"]


def test_a_partition_that_was_never_heard_of_holds_the_cut_until_it_is_read_to_its_end() -> None:
    marks = Watermarks(cut=7).heard({"gps/0": 50}, now=100)
    assert marks.advanced(100, set(), idle_us=60, partitions=BOTH).cut == 7
    assert marks.advanced(100, {"gps/1"}, idle_us=60, partitions=BOTH).cut == 50


def test_the_cut_never_runs_back() -> None:
    marks = Watermarks().heard({"gps/0": 50, "gps/1": 40}, now=100).advanced(100, set(), idle_us=60, partitions=BOTH)
    assert marks.cut == 40
    assert marks.advanced(100, set(), idle_us=60, allowed_us=30, partitions=BOTH).cut == 40


def test_who_asks_for_values_from_now_on_need_not_wait_for_the_slowest() -> None:
    marks = Watermarks(cut=20).heard({"gps/0": 50, "gps/1": 30}, now=100)
    assert marks.ahead(now=100) == 50
    assert marks.ahead(now=45) == 45  # a time that is still to come is not taken for past
    assert marks.ahead(now=10) == 20
    assert Watermarks(cut=5).ahead(now=100) == 5
