"""Masks: harmless, and the same everywhere."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime

import polars as pl
import pytest

import headrace as hr
from headrace.errors import SettingsError
from headrace.quality.masking import mask_key, mask_values

KEY = b"0123456789abcdef"


def test_hmac_is_the_standard_one() -> None:
    masked = mask_values(pl.Series("v", ["ann", None, "ann", "bob"]), hr.mask.hmac(), KEY)
    wanted = hmac.new(KEY, b"ann", hashlib.sha256).hexdigest()
    assert masked.name == "v"
    assert masked.to_list()[:3] == [wanted, None, wanted]
    assert masked[3] != wanted


def test_another_key_gives_another_hash() -> None:
    values = pl.Series(["ann"])
    assert mask_values(values, hr.mask.hmac(), KEY)[0] != mask_values(values, hr.mask.hmac(), b"another key 1234")[0]


def test_instants_are_hashed_as_microseconds() -> None:
    at = pl.Series([datetime(2026, 1, 5, tzinfo=UTC)], dtype=pl.Datetime("us", "UTC"))
    same = pl.Series([1_767_571_200_000_000])
    assert mask_values(at, hr.mask.hmac(), KEY)[0] == mask_values(same, hr.mask.hmac(), KEY)[0]


def test_bytes_and_nothing_are_hashed() -> None:
    assert len(mask_values(pl.Series([b"\xff"]), hr.mask.hmac(), KEY)[0]) == 64
    assert mask_values(pl.Series([None], dtype=pl.Int64), hr.mask.hmac(), KEY).to_list() == [None]


def test_drop_keeps_the_type_only() -> None:
    masked = mask_values(pl.Series([1, 2], dtype=pl.Int16), hr.mask.drop(), KEY)
    assert masked.dtype == pl.Int16
    assert masked.null_count() == 2


@pytest.mark.parametrize(
    ("values", "keep", "wanted"),
    [
        (pl.Series(["anna", "é", None]), 2, ["an", "é", None]),
        (pl.Series([48.858_44, -2.359]), 1, [48.8, -2.3]),
        (pl.Series([datetime(2026, 1, 5, 13, tzinfo=UTC)]), 0, [datetime(2026, 1, 5, tzinfo=UTC)]),
        (pl.Series([7]), 0, [7]),
    ],
)
def test_truncate(values: pl.Series, keep: int, wanted: list[object]) -> None:
    masked = mask_values(values, hr.mask.truncate(keep), KEY)
    assert masked.to_list() == wanted
    assert masked.dtype == values.dtype


def test_the_key_comes_from_the_environment_and_is_long() -> None:
    assert mask_key({"HEADRACE_MASK_KEY": KEY.decode()}) == KEY
    with pytest.raises(SettingsError, match="is not set"):
        mask_key({})
    with pytest.raises(SettingsError, match="has 3 characters"):
        mask_key({"HEADRACE_MASK_KEY": "abc"})
