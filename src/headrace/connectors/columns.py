"""Columns of text as the types that a source declares. What is not one of its values has a reason.

Nothing is guessed: a text is a value of its type from end to end, or it fails.
"""

from __future__ import annotations

from typing import Final

import msgspec
import polars as pl

from headrace.connectors.base import FAILURES, LONGEST_FOUND
from headrace.types import DataType

UTC: Final = pl.Datetime("us", "UTC")
WRONG_TYPE: Final = "wrong type"
OUT_OF_RANGE: Final = "out of range"
NAIVE_TIME: Final = "naive time"
NO_SUCH_TIME: Final = "time skipped by the clock change"

_PLAIN: Final[dict[str, pl.DataType]] = {
    "Bool": pl.Boolean(), "Int8": pl.Int8(), "Int16": pl.Int16(), "Int32": pl.Int32(), "Int64": pl.Int64(),
    "UInt8": pl.UInt8(), "UInt16": pl.UInt16(), "UInt32": pl.UInt32(), "Float32": pl.Float32(),
    "Float64": pl.Float64(), "String": pl.String(), "Binary": pl.Binary(), "Date": pl.Date(), "Timestamp": UTC,
}  # fmt: skip
_ISO_ZONED: Final = "%Y-%m-%dT%H:%M:%S%.f%:z"
_ISO_NAIVE: Final = "%Y-%m-%dT%H:%M:%S%.f"
_ISO_UTC: Final = "%Y-%m-%dT%H:%M:%S%.fZ"
_ZONE: Final = r"(?:Z|[+-]\d{2}:?\d{2})$"
_BOOLS: Final = {"true": True, "false": False, "1": True, "0": False}


def polars_type(dtype: DataType) -> pl.DataType:
    """A declared type as a Polars type; instants are microseconds in UTC."""
    if dtype.name == "Decimal":
        return pl.Decimal(dtype.size, dtype.scale or 0)
    if dtype.inner is not None:
        inner = polars_type(dtype.inner)
        return pl.Array(inner, dtype.size or 1) if dtype.name == "Vector" else pl.List(inner)
    return _PLAIN[dtype.name]


def parse_text(
    text: pl.Series, dtype: DataType, timezone: str | None, *, epochs: bool = False
) -> tuple[pl.Series, pl.DataFrame]:
    """Parse a column of text.

    Parameters
    ----------
    text : polars.Series of String
        The values; null stays null.
    dtype : DataType
        The declared type. Booleans are true, false, 1 or 0; binary is base64; lists are JSON;
        times are ISO 8601.
    timezone : str, optional
        The zone of times without one. A time that the clock passes twice is the later one, so that a
        row never counts before it happened; one that it skips fails.
    epochs : bool
        Whether whole numbers are times too: microseconds since 1970 UTC (days, for a Date).

    Returns
    -------
    values : polars.Series
        In the declared type.
    failures : polars.DataFrame
        As `FAILURES`.
    """
    if dtype.name == "String":
        return text, pl.DataFrame(schema=FAILURES)
    if dtype.name == "Timestamp":
        return _times(text, timezone, epochs=epochs)
    values = _values(text, dtype, epochs=epochs)
    return values, failures_where(values.is_null() & text.is_not_null(), WRONG_TYPE, text)


def narrowed(values: pl.Series, dtype: DataType) -> tuple[pl.Series, pl.DataFrame]:
    """Numbers as decoded (Int64, Float64) in their declared width; what does not fit fails."""
    wanted = polars_type(dtype)
    if values.dtype == wanted:
        return values, pl.DataFrame(schema=FAILURES)
    cast = values.cast(wanted, strict=False)
    failed = cast.is_null() & values.is_not_null()
    if values.dtype.is_float() and wanted.is_float():
        failed |= (cast.is_infinite() & values.is_finite()).fill_null(value=False)
    else:
        failed |= (cast.cast(values.dtype, strict=False) != values).fill_null(value=False)
    return cast.set(failed, None) if failed.any() else cast, failures_where(failed, OUT_OF_RANGE, values)


def failures_where(mask: pl.Series, reason: str, found: pl.Series) -> pl.DataFrame:
    """A failure for each true value of `mask`, in the column named like `found`."""
    if not mask.any():
        return pl.DataFrame(schema=FAILURES)
    index = mask.arg_true()
    return pl.DataFrame({
        "index": index,
        "reason": pl.repeat(reason, len(index), eager=True),
        "column": pl.repeat(found.name, len(index), dtype=pl.String, eager=True),
        "found": shown(found.gather(index)),
    }, schema=FAILURES)  # fmt: skip


def shown(values: pl.Series) -> pl.Series:
    """Values as short text, for messages."""
    if values.dtype.is_nested() or values.dtype == pl.Binary:
        return pl.Series([None if v is None else str(v)[:LONGEST_FOUND] for v in values.to_list()], dtype=pl.String)
    return values.cast(pl.String, strict=False).str.head(LONGEST_FOUND)


def _values(text: pl.Series, dtype: DataType, *, epochs: bool) -> pl.Series:
    wanted = polars_type(dtype)
    if dtype.is_nested:
        return pl.Series(text.name, [_list(value, dtype) for value in text.to_list()], dtype=wanted)
    if dtype.is_integer:
        return text.cast(pl.Int64, strict=False).cast(wanted, strict=False)
    special = {"Bool": _bools, "Decimal": _decimals, "Binary": _bytes}.get(dtype.name)
    if special is not None:
        return special(text, dtype)
    return _days(text, epochs=epochs) if dtype.name == "Date" else text.cast(wanted, strict=False)


def _bools(text: pl.Series, _: DataType) -> pl.Series:
    return text.str.to_lowercase().replace_strict(_BOOLS, default=None, return_dtype=pl.Boolean)


def _bytes(text: pl.Series, _: DataType) -> pl.Series:
    return text.str.decode("base64", strict=False)


def _decimals(text: pl.Series, dtype: DataType) -> pl.Series:
    """Only those that need no rounding."""
    scale = dtype.scale or 0
    whole = max((dtype.size or 18) - scale, 1)
    exact = text.str.contains(rf"^-?0*\d{{1,{whole}}}(?:\.\d{{0,{scale}}}0*)?$")
    return text.set(~exact.fill_null(value=False), None).cast(polars_type(dtype), strict=False)


def _days(text: pl.Series, *, epochs: bool) -> pl.Series:
    days = text.str.to_date("%Y-%m-%d", strict=False)
    numbers = text.cast(pl.Int32, strict=False).cast(pl.Date)
    return days.zip_with(days.is_not_null(), numbers) if epochs else days


def _list(text: str | None, dtype: DataType) -> list[object] | None:
    if text is None:
        return None
    assert dtype.inner is not None
    item = {"Int": int, "UIn": int, "Flo": float, "Str": str, "Boo": bool}.get(dtype.inner.name[:3], str)
    try:
        found: list[object] = msgspec.json.decode(text, type=list[item | None])  # type: ignore[valid-type]
    except msgspec.MsgspecError:
        return None
    return found if dtype.name == "List" or (len(found) == dtype.size and None not in found) else None


def _times(text: pl.Series, timezone: str | None, *, epochs: bool) -> tuple[pl.Series, pl.DataFrame]:
    utc = text.str.to_datetime(_ISO_UTC, time_unit="us", time_zone="UTC", strict=False)
    missing = utc.is_null() & text.is_not_null()
    if not missing.any():
        return utc, pl.DataFrame(schema=FAILURES)
    place = missing.arg_true()
    rest, failures = _other_times(text.gather(place), timezone, epochs=epochs)
    moved = failures.with_columns(index=place.gather(failures["index"]).cast(pl.UInt32))
    return utc.scatter(place, rest), moved


def _other_times(text: pl.Series, timezone: str | None, *, epochs: bool) -> tuple[pl.Series, pl.DataFrame]:
    """Times with other zones than Z, with a space for the T, without a zone, or as numbers."""
    iso = text.str.replace(r"^(\d{4}-\d{2}-\d{2}) ", "${1}T").str.replace("Z$", "+00:00")
    zoned = iso.str.to_datetime(_ISO_ZONED, time_unit="us", time_zone="UTC", strict=False)
    zoned = zoned.set(~iso.str.contains(_ZONE), None)
    naive = iso.str.to_datetime(_ISO_NAIVE, time_unit="us", strict=False)
    if epochs:
        number = text.cast(pl.Int64, strict=False)
        naive = naive.zip_with(number.is_null(), number.cast(pl.Datetime("us")))
    local, skipped = localised(naive, timezone or ("UTC" if epochs else None))
    times = zoned.zip_with(zoned.is_not_null(), local).alias(text.name)
    failed = times.is_null()
    reasons = [
        (failed & skipped, NO_SUCH_TIME),
        (failed & ~skipped & naive.is_not_null(), NAIVE_TIME),
        (failed & naive.is_null(), WRONG_TYPE),
    ]
    return times, pl.concat([failures_where(mask, reason, text) for mask, reason in reasons])


def localised(naive: pl.Series, timezone: str | None) -> tuple[pl.Series, pl.Series]:
    """Naive times as instants in UTC, and which of them the clock of the zone skips.

    Without a zone every instant is null, and none is skipped. A time that the clock passes twice is
    the later one.
    """
    if timezone is None:
        return pl.Series(naive.name, [None] * len(naive), dtype=UTC), pl.Series([False] * len(naive), dtype=pl.Boolean)
    local = naive.dt.replace_time_zone(timezone, ambiguous="latest", non_existent="null").dt.convert_time_zone("UTC")
    return local, local.is_null() & naive.is_not_null()
