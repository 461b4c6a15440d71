"""Which windows can be written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import headrace as hr
from headrace.definitions.windows import Hopping, Sliding
from headrace.errors import DefinitionError, TimeError
from headrace.types import SECOND


def test_lengths_are_microseconds() -> None:
    assert hr.sliding("5m", hop="30s") == Sliding(300 * SECOND, 30 * SECOND)
    assert hr.tumbling("5m") == Hopping(300 * SECOND, 300 * SECOND)


def test_an_offset_is_taken_within_its_hop() -> None:
    assert hr.tumbling("7d", offset="11d") == hr.tumbling("1w", offset="4d")


@pytest.mark.parametrize(
    ("window", "size", "hop", "reason"),
    [
        (hr.sliding, "5m", "0s", "0 < hop <= size"),
        (hr.sliding, "5m", "6m", "0 < hop <= size"),
        (hr.hopping, "5m", "0s", "0 < hop <= size"),
        (hr.hopping, "5m", "6m", "0 < hop <= size"),
        (hr.hopping, "5m", "2m", "no multiple of the hop"),
        (hr.sliding, "0s", "0s", "0 < hop <= size"),
    ],
)
def test_hops_that_do_not_fit_are_refused(window: Callable[..., object], size: str, hop: str, reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        window(size, hop=hop)


def test_a_sliding_hop_need_not_divide_the_size() -> None:
    assert hr.sliding("5m", hop="2m").hop == 120 * SECOND


@pytest.mark.parametrize("size", ["", "5", "m5", "1.5h", "-5m", True])
def test_what_is_no_length_is_refused(size: str) -> None:
    with pytest.raises(TimeError, match="no duration"):
        hr.tumbling(size)
