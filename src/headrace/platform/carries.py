"""What a backfill carries from span to span, kept between runs so that the next need not start over.

A saved carry is good as long as silver got no row since that became known before its instant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import xxhash

from headrace.engines.base import Carry
from headrace.errors import ConflictError, LakeError
from headrace.lake.reading import collect
from headrace.lake.states import SavedState, save_state, saved_states
from headrace.platform.extent import day_of, rows_by_day
from headrace.platform.gold import DAY_COLUMN, silver_table, state_folder
from headrace.platform.spans import ROWS_A_SPAN, Span, spans
from headrace.types import BEGINNING, DAY, FOREVER

if TYPE_CHECKING:
    from headrace.lake.base import Commit, Lake, Table
    from headrace.platform.context import Context
    from headrace.platform.gold import Gold

KEEP = 12
_ELEMENT = "element-"
_SINGLE = ("rows", "log", "seen")


def carry_at(
    context: Context, gold: Gold, at: int, silver_version: int, rows_a_span: int = ROWS_A_SPAN
) -> Carry | None:
    """What is carried into an instant: the best that was saved, brought forward from there."""
    silver = silver_table(context.lake, gold.view.source)
    carry = best_carry(state_folder(context.lake, gold), at, silver_version, silver.commits())
    days = rows_by_day(silver, silver_version)
    first = max(BEGINNING if carry is None else carry.until, min(days, default=0) * DAY)
    for span, rows in rows_ahead(silver, silver_version, spans(first, at, days, rows_a_span)):
        carry = context.engine.compute(gold.view, rows, carry, span.since, span.until, steps=False).carry
    return carry


def rows_ahead(silver: Table, version: int, work: list[Span]) -> Iterator[tuple[Span, pl.DataFrame]]:
    """Read the rows of each span while the one before is at work."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        reading: Future[pl.DataFrame] | None = None
        for index, span in enumerate(work):
            rows = (reading or pool.submit(_rows_of, silver, version, span)).result()
            follows = index + 1 < len(work)
            reading = pool.submit(_rows_of, silver, version, work[index + 1]) if follows else None
            yield span, rows


def _rows_of(silver: Table, version: int, span: Span) -> pl.DataFrame:
    known = pl.col("_hr_known").dt.epoch("us")
    days = pl.col(DAY_COLUMN).is_between(day_of(span.since), day_of(span.until - 1))
    rows = silver.scan(version).filter(days).filter((known >= span.since) & (known < span.until))
    return collect(rows, silver, version)


def save_carry(lake: Lake, folder: Path, carry: Carry, silver_version: int) -> None:
    """Save a carry, and forget the oldest beyond `KEEP`.

    While another run saves its own nothing is saved: a carry can always be computed again.
    """
    with suppress(ConflictError), lake.lock(f"carries-{folder.parent.name}-{folder.name}"):
        _save(folder, carry, silver_version)


def _save(folder: Path, carry: Carry, silver_version: int) -> None:
    frames = {name: frame for name in _SINGLE if (frame := getattr(carry, name)) is not None}
    frames |= {_ELEMENT + name: frame for name, frame in carry.elements.items()}
    note = {"until": carry.until, "silver_version": silver_version, "next_row_id": carry.next_row_id}
    save_state(folder, f"{carry.until:020d}-{silver_version:08d}", frames, note)
    for old in _by_age(saved_states(folder))[:-KEEP]:
        old.delete()


def best_carry(folder: Path, at: int, silver_version: int, silver_commits: Iterable[Commit]) -> Carry | None:
    """The latest saved carry at or before an instant that is still good at a version of silver.

    One that is damaged is deleted: an older one, or the beginning, gives the same steps.
    """
    commits = list(silver_commits)
    good = [s for s in saved_states(folder) if s.note["until"] <= at and _holds(s, silver_version, commits)]
    for state in sorted(good, key=lambda s: int(s.note["until"]), reverse=True):
        try:
            return _read(state)
        except LakeError:
            state.delete()
    return None


def carry_digest(carry: Carry) -> str:
    """Equal for equal carries: to see whether a change of history still matters at an instant."""
    digest = xxhash.xxh3_128()
    frames = {name: getattr(carry, name) for name in _SINGLE} | carry.elements
    for name, frame in sorted(frames.items()):
        if frame is not None:
            digest.update(f"{name}:{frame.schema}".encode())
            digest.update(_sorted(frame).hash_rows(seed=1).to_numpy().tobytes())
    return f"{carry.until}-{digest.hexdigest()}"


def _sorted(frame: pl.DataFrame) -> pl.DataFrame:
    flat = [name for name, dtype in frame.schema.items() if not dtype.is_nested()]
    return frame.sort(flat) if flat else frame


def _holds(state: SavedState, silver_version: int, commits: list[Commit]) -> bool:
    made = int(state.note["silver_version"])
    low, high = sorted((made, silver_version))
    changed = (int(c.metadata.get("min_known_us", FOREVER)) for c in commits if low < c.version <= high)
    return all(known >= state.note["until"] for known in changed)


def _read(state: SavedState) -> Carry:
    frames = state.frames()
    elements = {name.removeprefix(_ELEMENT): f for name, f in frames.items() if name.startswith(_ELEMENT)}
    single = {name: frames.get(name) for name in _SINGLE}
    return Carry(int(state.note["until"]), elements=elements, next_row_id=int(state.note["next_row_id"]), **single)


def _by_age(states: list[SavedState]) -> list[SavedState]:
    return sorted(states, key=lambda s: s.path.stat().st_mtime_ns)
