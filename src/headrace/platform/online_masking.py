"""Keys of a request as records are named by: masked as the view's source masks them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from headrace.engines.polars_types import to_polars
from headrace.errors import DefinitionError
from headrace.platform.request_values import first_misfit
from headrace.quality.masking import mask_key, mask_values

if TYPE_CHECKING:
    from headrace.platform.online_heads import Head
    from headrace.types import DataType


def masked(head: Head, columns: Sequence[str], values: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """The values of each key, those masked that the head says are.

    Parameters
    ----------
    head : Head
        Of the view.
    columns : sequence of str
        The request's columns, one a key.
    values : sequence of sequences
        What they hold.

    Raises
    ------
    DefinitionError
        If a value is not of its key's type.
    SettingsError
        If a key is hashed, and the environment has no key for that.
    """
    secret = mask_key() if any(mask.method == "hmac" for mask in head.masks.values()) else b""
    found: list[Sequence[Any]] = []
    for (key, dtype), column, given in zip(head.keys.items(), columns, values, strict=True):
        mask = head.masks.get(key)
        found.append(given if mask is None else mask_values(typed(column, dtype, given), mask, secret).to_list())
    return found


def typed(column: str, dtype: DataType, values: Sequence[Any]) -> pl.Series:
    """A column of a request as a Series.

    Raises
    ------
    DefinitionError
        If a value is not of its type.
    """
    if (place := first_misfit(dtype, values)) is not None:
        raise DefinitionError(
            f"request, column '{column}', row {place}: {_few([values[place]])} is no {dtype}, which would round it or "
            "can't hold it at all."
        )
    try:
        return pl.Series(column, values, dtype=to_polars(dtype))
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        raise DefinitionError(f"request, column '{column}': its values are not all {dtype}: {_few(values)}.") from None


def _few(values: Sequence[Any]) -> str:
    return ", ".join(repr(value)[:100] for value in values[:5]) + (", …" if len(values) > 5 else "")
