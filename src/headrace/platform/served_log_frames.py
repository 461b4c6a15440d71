"""Answers as rows of the log: one an entity of a request, a column a feature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from headrace.engines.polars_types import to_polars
from headrace.platform.masked_keys import key_masks
from headrace.platform.online_masking import typed
from headrace.quality.base import UTC
from headrace.quality.masking import mask_key, mask_values
from headrace.timeline.packed import STATUSES

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

    from headrace.definitions.personal import Mask
    from headrace.platform.online_heads import Head
    from headrace.platform.served_log_entry import ServedEntry
    from headrace.timeline.arrays import Ints
    from headrace.types import DataType

DAY: Final = "_hr_day"
AT, ANSWERED, REQUEST, ROW = "_hr_at", "_hr_answered", "_hr_request", "_hr_row"
CALLER, WORKER, STALE, PRESENT_TIME, LOST = "_hr_caller", "_hr_worker", "_hr_stale", "_hr_present", "_hr_lost"
_TYPES: Final[dict[str, PolarsDataType]] = {
    DAY: pl.String, AT: UTC, ANSWERED: UTC, REQUEST: pl.String, ROW: pl.Int32, CALLER: pl.String, WORKER: pl.String,
    STALE: pl.Boolean, PRESENT_TIME: pl.Boolean, LOST: pl.Int64,
}  # fmt: skip
OWN: Final = pl.Schema(_TYPES)
"""The columns of the log itself. A row with `LOST` stands for so many requests that are not in the log."""
_VERSION: Final[dict[str, PolarsDataType]] = {
    "number": pl.Int64, "fingerprint": pl.String, "generation": pl.Int64, "epoch": pl.Int64, "frontier": UTC,
    "written_at": UTC,
}  # fmt: skip
STATUS: Final = "__status"


def version_column(view: str, what: str) -> str:
    """Where it is said which version of a view was read, such as its ``number``."""
    return f"_hr_{view}__{what}"


def event_time_column(prefix: str) -> str:
    """Where it is said when the newest row behind values happened, of the columns that begin with `prefix`."""
    return f"_hr_{prefix}__event_time"


def as_rows(entries: Sequence[ServedEntry], worker: str) -> pl.DataFrame:
    """Answers of one service with the same columns, as rows.

    Parameters
    ----------
    entries : sequence of ServedEntry
        At least one.
    worker : str
        Who answered.

    Raises
    ------
    SettingsError
        If a key is hashed, and the environment has no key for that.
    """
    counts = np.array([len(entry.answer.rows) for entry in entries], dtype=np.int64)
    place = np.repeat(np.arange(len(entries)), counts)
    columns = [
        *_own(entries, counts, worker, place), *_keys(entries), *_features(entries), *_statuses(entries),
        *_event_times(entries), *_versions(entries, place),
    ]  # fmt: skip
    return pl.DataFrame(columns)


def lost_row(count: int, at_us: int, worker: str) -> pl.DataFrame:
    """What stands for requests that are not in the log: at most then, so many."""
    frame = pl.DataFrame({AT: [at_us], ANSWERED: [at_us], WORKER: [worker], LOST: [count]})
    frame = frame.with_columns(pl.col(AT, ANSWERED).cast(UTC))
    return frame.with_columns(_day()).select(
        pl.col(name) if name in (DAY, *frame.columns) else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in OWN.items()
    )


def _own(entries: Sequence[ServedEntry], counts: Ints, worker: str, place: Ints) -> list[pl.Series]:
    told = pl.DataFrame({
        AT: pl.Series([entry.answer.at for entry in entries], dtype=pl.Int64).cast(UTC),
        ANSWERED: pl.Series([entry.answered_us for entry in entries], dtype=pl.Int64).cast(UTC),
        REQUEST: pl.Series([entry.request_id for entry in entries], dtype=pl.String),
        CALLER: pl.Series([entry.caller or None for entry in entries], dtype=pl.String),
        WORKER: pl.Series([worker] * len(entries), dtype=pl.String),
        STALE: pl.Series([entry.is_stale for entry in entries], dtype=pl.Boolean),
        PRESENT_TIME: pl.Series([entry.is_present for entry in entries], dtype=pl.Boolean),
        LOST: pl.Series([None] * len(entries), dtype=pl.Int64),
    })  # fmt: skip
    starts = np.cumsum(counts) - counts
    row = pl.Series(ROW, np.arange(len(place)) - starts[place], dtype=pl.Int32)
    repeated = told.with_columns(_day())[pl.Series(place)].with_columns(row)
    return repeated.select(OWN.names()).get_columns()


def _day() -> pl.Expr:
    return pl.col(ANSWERED).dt.strftime("%Y-%m-%d").alias(DAY)


def _keys(entries: Sequence[ServedEntry]) -> Iterable[pl.Series]:
    """What was asked with; never in clear what a source masks."""
    masks = _masks(entries)
    secret = mask_key() if any(mask.method == "hmac" for mask in masks.values()) else b""
    for name, dtype in entries[0].answer.entity_types.items():
        values = list(chain.from_iterable(entry.answer.entities[name] for entry in entries))
        mask = masks.get(name)
        if mask is None:
            yield pl.Series(name, values, dtype=to_polars(dtype), strict=False)
        else:
            yield mask_values(typed(name, dtype, values), mask, secret).alias(name)


def _masks(entries: Sequence[ServedEntry]) -> dict[str, Mask]:
    """How columns of the request are masked: as the definitions say, or those that were served."""
    found: dict[str, Mask] = {}
    for entry in {id(entry.service): entry for entry in entries}.values():
        for chosen in entry.service.read_selections:
            head = entry.answer.heads.get(chosen.reference)
            masks = {**key_masks(chosen.view), **(head.masks if head is not None else {})}
            found |= {chosen.key_columns[key]: mask for key, mask in masks.items() if key in chosen.key_columns}
    return found


def _features(entries: Sequence[ServedEntry]) -> Iterable[pl.Series]:
    types = entries[0].answer.types
    columns: Iterable[Sequence[Any]] = zip(*chain.from_iterable(e.answer.rows for e in entries), strict=True)
    there = list(columns) or [() for _ in types]
    for (name, dtype), values in zip(types.items(), there, strict=True):
        yield _series(name, dtype, values)


def _series(name: str, dtype: DataType, values: Sequence[Any]) -> pl.Series:
    try:
        return pl.Series(name, values, dtype=to_polars(dtype))
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, values, dtype=to_polars(dtype), strict=False)  # whatever a function made


def _statuses(entries: Sequence[ServedEntry]) -> Iterable[pl.Series]:
    """A text a value. Nearly all rows have the same statuses: those are told once."""
    seen: dict[tuple[int, ...], int] = {}
    rows = chain.from_iterable(entry.answer.statuses for entry in entries)
    which = pl.Series([seen.setdefault(row, len(seen)) for row in rows], dtype=pl.UInt32)
    for place, name in enumerate(entries[0].answer.types):
        texts = pl.Series([STATUSES[row[place]] for row in seen], dtype=pl.String)
        yield texts.gather(which).alias(name + STATUS)


def _event_times(entries: Sequence[ServedEntry]) -> Iterable[pl.Series]:
    first: dict[str, int] = {}
    made = {item.name for item in entries[0].service.on_demand}
    for place, name in enumerate(entries[0].answer.types):
        first.setdefault(name.partition("__")[0], place)
    for prefix, place in first.items():
        if prefix not in made:
            times = list(chain.from_iterable(entry.answer.time_columns[place] for entry in entries))
            yield pl.Series(event_time_column(prefix), times, dtype=pl.Int64).cast(UTC)


def _versions(entries: Sequence[ServedEntry], place: Ints) -> Iterable[pl.Series]:
    for view in dict.fromkeys(chain.from_iterable(entry.answer.heads for entry in entries)):
        seen: dict[int, int] = {}
        heads: list[Head | None] = []
        which = np.empty(len(entries), dtype=np.int64)
        for number, entry in enumerate(entries):
            head = entry.answer.heads.get(view)
            which[number] = seen.setdefault(id(head), len(heads))
            if len(seen) > len(heads):
                heads.append(head)
        index = pl.Series(which[place], dtype=pl.UInt32)
        for what, dtype in _VERSION.items():
            told = [None if head is None else getattr(head, what) for head in heads]
            kept = pl.Series(told, dtype=pl.Int64 if dtype == UTC else dtype).cast(dtype)
            yield kept.gather(index).alias(version_column(view, what))
