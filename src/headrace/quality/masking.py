"""Personal columns made harmless: the same way in silver, in labels and in requests."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import Final

import polars as pl

from headrace.definitions.personal import Mask
from headrace.definitions.sources import Source
from headrace.errors import SettingsError

KEY_VARIABLE: Final = "HEADRACE_MASK_KEY"
_SHORTEST_KEY: Final = 16


def mask_key(environment: Mapping[str, str] | None = None) -> bytes:
    """The key of the keyed hash, from the environment alone.

    Raises
    ------
    SettingsError
        If it is missing or shorter than 16 characters.
    """
    key = (os.environ if environment is None else environment).get(KEY_VARIABLE, "")
    if len(key) < _SHORTEST_KEY:
        state = "is not set" if not key else f"has {len(key)} characters"
        raise SettingsError(
            f"{KEY_VARIABLE} {state}: personal columns are hashed with it, and it needs at least {_SHORTEST_KEY}. "
            "Set it in the environment, the same each time; e.g. from `openssl rand -hex 32`."
        )
    return key.encode()


def mask_frame(frame: pl.DataFrame, source: Source, key: bytes | None = None) -> pl.DataFrame:
    """Mask a source's personal columns.

    Parameters
    ----------
    frame : polars.DataFrame
        Rows with the source's columns.
    source : Source
        Says which columns are personal, and how they are masked.
    key : bytes, optional
        The key for ``hmac``; from the environment where it is not given.
    """
    if key is None and any(mask.method == "hmac" for mask in source.personal.values()):
        key = mask_key()
    return frame.with_columns(mask_values(frame[name], mask, key or b"") for name, mask in source.personal.items())


def mask_values(values: pl.Series, mask: Mask, key: bytes) -> pl.Series:
    """Mask a column.

    Parameters
    ----------
    values : polars.Series
        Any values; null stays null.
    mask : Mask
        ``hmac`` gives text, the others keep the type.
    key : bytes
        The key for ``hmac``. Equal values give equal hashes: a whole number the same in each
        integer type, an instant as its microseconds.

    Examples
    --------
    >>> from headrace.definitions.personal import hmac
    >>> ids = [mask_values(pl.Series([7]).cast(t), hmac(), b"key")[0] for t in (pl.Int32, pl.Int64, pl.String)]
    >>> len(set(ids)), len(ids[0])
    (1, 64)
    """
    if mask.method == "hmac":
        return _hashed(values, key)
    if mask.method == "drop":
        return pl.Series(values.name, [None] * len(values), dtype=values.dtype)
    return _truncated(values, mask.keep)


def _hashed(values: pl.Series, key: bytes) -> pl.Series:
    text = values.to_physical() if values.dtype.is_temporal() else values
    text = text.bin.encode("hex") if text.dtype == pl.Binary else text.cast(pl.String)
    unique = text.drop_nulls().unique()
    hashes = [hmac.digest(key, value.encode(), hashlib.sha256).hex() for value in unique.to_list()]
    hashed = text.replace_strict(unique, pl.Series(hashes, dtype=pl.String), default=None, return_dtype=pl.String)
    return hashed.alias(values.name)


def _truncated(values: pl.Series, keep: int) -> pl.Series:
    if values.dtype == pl.String:
        return values.str.head(keep)
    if isinstance(values.dtype, pl.Datetime):
        return values.dt.truncate("1d")
    if values.dtype.is_float() or isinstance(values.dtype, pl.Decimal):
        scale = pl.lit(10**keep)
        whole = (pl.col("v").abs().cast(pl.Float64) * scale).floor() * pl.col("v").sign().cast(pl.Float64)
        made = pl.DataFrame({"v": values}).select((whole / scale).round(keep).cast(values.dtype)).to_series()
        return made.alias(values.name)
    return values
