"""When a line was pushed: written in front of it, and taken off again."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from headrace.connectors.arrival_stamps import stamp_of, stamped, unstamped
from headrace.connectors.base import RAW
from headrace.connectors.streams import APPENDED

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
NOW_US = 1_767_600_000_000_000
LINES = [b"{}", b'{"a":1}', b'{"a":"}","_hr_b":{}}', '{"a":"\u00e9"}'.encode()]


def test_what_was_stamped_is_read_as_it_was() -> None:
    found = stamped(LINES, NOW_US)
    assert [stamp_of(line) for line in found] == [NOW_US] * len(LINES)
    frame = unstamped(pl.DataFrame({RAW: [line.decode() for line in found]}))
    assert frame[RAW].to_list() == [line.decode() for line in LINES]
    assert frame[APPENDED].to_list() == [NOW] * len(LINES)


@pytest.mark.parametrize(
    "line",
    [
        '{"a":1}', '{"_hr_appended":1767600000000000 ,"a":1}', '{"_hr_appended":176760000000000,"a":1}',
        '{"_hr_appended":17676000000000000,"a":1}', '{"_hr_appended":"1767600000000000","a":1}',
        '{"_hr_appended":-767600000000000,"a":1}', '{"_hr_appended":1767600000000000}x', '{"_hr_appended":null}',
        '{"a":1,"_hr_appended":1767600000000000}', '{"_hr_appended":1767600000000000', "null", "[1]",
    ],
)  # fmt: skip
def test_nothing_else_is_a_stamp(line: str) -> None:
    mixed = pl.DataFrame({RAW: [line, stamped([b"{}"], NOW_US)[0].decode()]})
    assert unstamped(mixed)[APPENDED].to_list() == [None, NOW]
    assert unstamped(mixed)[RAW].to_list() == [line, "{}"]
    assert unstamped(mixed[:1])[RAW].to_list() == [line]
