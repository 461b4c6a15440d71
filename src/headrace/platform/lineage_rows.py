"""Where the newest row behind a value came from: the row is found in silver, which keeps its origin.

The online record says when that row happened. The lake is asked for the row itself, so what the lake does not have
yet, as a stream is ahead of it, has no origin but a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from headrace.definitions.sources import ChangeSource, SnapshotSource
from headrace.engines.polars_rows import ORDER, ROW_ID, event_rows, order_columns
from headrace.engines.polars_versions import change_rows
from headrace.lake.reading import collect
from headrace.platform.gold import silver_table
from headrace.platform.landing import ARRIVED, BATCH, FILE, ROW
from headrace.platform.masked_keys import masked_keys
from headrace.platform.online_masking import typed
from headrace.quality.base import KNOWN
from headrace.types import BEGINNING, FOREVER, instant_text

if TYPE_CHECKING:
    from headrace.definitions.views import FeatureView, Selection
    from headrace.lake.base import Table
    from headrace.platform.context import Context
    from headrace.platform.online_heads import Head
    from headrace.timeline.packed_steps import Step

MOST_ROWS: Final = 5_000_000
"""Where rows can't be found by their keys, all are read: of a larger source none."""
_STREAMED: Final = "stream-"
"""What the batches of a stream begin with (`headrace.platform.stream_landing`)."""
_ASKED, _AT, _HAPPENED = "_hr_asked", "_hr_asked_at", "_hr_asked_t"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row came from.

    Parameters
    ----------
    kind : str
        ``file``, or ``stream``.
    place : str
        The file's name; of a stream the partition, as ``topic/3``.
    row : int
        Where it stood in the file, as `headrace.connectors.base.ROW`; of a stream the offset.
    batch : str
        What it landed with.
    arrived_at, known_at : int
        When it arrived in bronze (of a stream, when the log took it), and from when it counts; microseconds UTC.
    """

    kind: str
    place: str
    row: int
    batch: str
    arrived_at: int
    known_at: int


def newest_rows(
    context: Context,
    chosen: Selection,
    head: Head,
    entities: Mapping[str, Sequence[Any]],
    steps: Sequence[Step | None],
    at: int,
) -> list[Origin | str]:
    """For each entity, where the newest row behind its values came from; or why that is not known.

    Parameters
    ----------
    context : Context
        The project.
    chosen : Selection
        The view.
    head : Head
        As the view was when the steps were read.
    entities : mapping of str to sequence
        The request's columns.
    steps : sequence of Step or None
        The step in force of each entity at `at`.
    at : int
        The time, in microseconds UTC.

    Raises
    ------
    LakeError
        If silver can't be read.
    """
    silver = silver_table(context.lake, chosen.view.source)
    asked = [place for place, step in enumerate(steps) if step is not None and step.event_time is not None]
    found: dict[int, Origin] = {}
    lacking = _lacking(chosen.view, silver)
    if asked and not lacking:
        found = _found(chosen, silver, _questions(chosen, entities, steps, asked, head, at))
        lacking = _behind(chosen.view, silver, head)
    return [found.get(place) or _reason(step, lacking) for place, step in enumerate(steps)]


def _lacking(view: FeatureView, silver: Table) -> str:
    """Why no row can be looked up; empty if they can."""
    if not silver.exists():
        return f"the lake has no rows of {view.source.where} yet"
    if not {FILE, ROW, BATCH, ARRIVED} <= set(silver.schema()):
        return f"silver of {view.source.where} was not made by headrace's own ingestion, and keeps no origins"
    if not _by_keys(view) and sum(file.rows for file in silver.files()) > MOST_ROWS:
        return (
            f"{view.place}: its rows can't be told by their keys before its transform, or as they may be updated, and "
            f"silver has more than the {MOST_ROWS:,} that are searched"
        )
    return ""


def _behind(view: FeatureView, silver: Table, head: Head) -> str:
    known = [int(each.metadata["max_known_us"]) for each in silver.commits() if "max_known_us" in each.metadata]
    through = instant_text(max(known)) if known else "nothing"
    ahead = f"; the stream of source '{head.stream}' may be ahead of it" if head.stream else ""
    return f"the lake does not have this row: it has rows of {view.source.where} known through {through}{ahead}"


def _reason(step: Step | None, lacking: str) -> str:
    if step is None:
        return "nothing is known of this entity at that time"
    return "no row is left, or none was known yet" if step.event_time is None else lacking


def _questions(
    chosen: Selection,
    entities: Mapping[str, Sequence[Any]],
    steps: Sequence[Step | None],
    asked: Sequence[int],
    head: Head,
    at: int,
) -> pl.DataFrame:
    """For each entity with a newest row its place, its keys as silver has them, and when that row happened."""
    # A publication has no row from behind its frontier; a stream's head is behind its records.
    known_by = at if head.stream else min(at, head.frontier)
    times = [step.event_time for place in asked if (step := steps[place]) is not None]
    keys = [
        typed(column, chosen.view.entity_keys[key], [entities[column][place] for place in asked]).alias(key)
        for key, column in chosen.key_columns.items()
    ]
    numbers = {_ASKED: asked, _HAPPENED: times, _AT: [known_by] * len(asked)}
    frame = pl.DataFrame(numbers, schema=dict.fromkeys(numbers, pl.Int64()))
    return frame.with_columns(masked_keys(chosen.view, pl.DataFrame(keys)).get_columns())


def _found(chosen: Selection, silver: Table, questions: pl.DataFrame) -> dict[int, Origin]:
    view = chosen.view
    rows = _rows(view, silver, questions)
    normalised = _normalised(view, rows)
    names = {f"_hr_key_{key}": key for key in view.entity_keys}
    normalised = normalised.rename(names).with_columns(
        pl.col(key).cast(questions.schema[key]) for key in view.entity_keys
    )
    keys = list(view.entity_keys)
    pairs = questions.join(normalised, on=keys, how="inner") if keys else questions.join(normalised, how="cross")
    begin, end = (_at_resolution(view, column) for column in ("_hr_visible", "_hr_death"))
    live = pairs.filter(pl.col("_hr_t") == pl.col(_HAPPENED), begin <= pl.col(_AT), end > pl.col(_AT))
    newest = live.sort(_ASKED, *_order(view)).unique(_ASKED, keep="last", maintain_order=True)
    origins = rows.select(FILE, ROW, BATCH, pl.col(ARRIVED, KNOWN).dt.epoch("us"))
    return {
        asked: _origin(*origins.row(row))
        for asked, row in newest.select(_ASKED, ROW_ID).iter_rows()
        if origins[FILE][row] is not None
    }


def _order(view: FeatureView) -> list[str]:
    return [*ORDER, *(name for name in order_columns(view) if name not in ORDER)]


def _origin(place: str, row: int, batch: str, arrived_at: int, known_at: int) -> Origin:
    return Origin("stream" if str(batch).startswith(_STREAMED) else "file", place, row, batch, arrived_at, known_at)


def _by_keys(view: FeatureView) -> bool:
    """Whether an entity's rows of silver can be told by their keys."""
    return view.transform is None and not view.mutable


def _rows(view: FeatureView, silver: Table, questions: pl.DataFrame) -> pl.DataFrame:
    """The rows of silver among which the newest ones are, in one order."""
    scan = silver.scan()
    if not _by_keys(view):
        return collect(scan, silver)
    if view.time_column == view.source.event_time:  # a row is never known before it happened
        low, high = questions[_HAPPENED].min(), questions[_AT].max()
        scan = scan.filter(pl.col(KNOWN).dt.epoch("us").is_between(pl.lit(low), pl.lit(high)))
    if view.key_columns:
        columns = {key: f"_hr_wanted_{key}" for key in view.entity_keys}
        wanted = questions.select(pl.col(key).alias(name) for key, name in columns.items()).unique()
        named = scan.with_columns(
            pl.col(view.key_columns[key]).cast(wanted.schema[name]).alias(name) for key, name in columns.items()
        )
        scan = named.join(wanted.lazy(), on=list(columns.values()), how="semi").drop(list(columns.values()))
    return collect(scan, silver)


def _normalised(view: FeatureView, rows: pl.DataFrame) -> pl.DataFrame:
    if isinstance(view.source, ChangeSource | SnapshotSource):
        return change_rows(view, rows, None, "then", BEGINNING // 2).rows
    return event_rows(view, rows, "then")[0]


def _at_resolution(view: FeatureView, column: str) -> pl.Expr:
    """A time as the view's steps have it: rounded up to its resolution, unless it is never."""
    width = view.resolution_us
    exact = pl.col(column)
    if width is None:
        return exact
    return pl.when(exact >= FOREVER).then(exact).otherwise((exact + (width - 1)) // width * width)
