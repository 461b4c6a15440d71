"""Pushing rows into a source's stream: judged by its contract, and acknowledged when they are durable there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headrace.connectors.log_opening import Logs, writable
from headrace.platform.push_judging import Judged, judged, undeclared
from headrace.platform.push_report import PushRefusedError, PushReport
from headrace.platform.push_rows import lines_of
from headrace.platform.push_waiting import waited

if TYPE_CHECKING:
    from headrace.definitions.sources import Source
    from headrace.platform.context import Context


def push(
    context: Context, source_name: str, rows: Any, *, wait_seconds: float | None = None, partial: bool = False,
    logs: Logs | None = None,
) -> PushReport:  # fmt: skip
    """Write rows into a source's stream, which alone moves the served values.

    They are durable in the stream when this returns. Where it raises, or is killed, some of them may be there all the
    same: push them again. A source with ``dedupe_on`` counts each once.

    Parameters
    ----------
    context : Context
        The project.
    source_name : str
        A source with ``stream=``: a topic of JSON, or files of JSON lines.
    rows : sequence of mapping, frame or path
        The rows by column; a frame of Polars, Arrow or pandas; or the path of a file of JSON lines.
    wait_seconds : float, optional
        Wait so long at most until the served values hold the rows; the report says whether they do.
    partial : bool
        Write the good rows where others are refused.
    logs : Logs, optional
        Keeps connections for the next push.

    Raises
    ------
    UnknownNameError
        If there is no such source.
    DefinitionError
        If the source has no stream, or one that can't be pushed to: says what to do.
    PushRefusedError
        If a row is refused by the contract, and `partial` is not set: nothing is written.
    SourceError
        If the rows can't be read.
    UnreachableError
        If the brokers can't be reached.
    StreamError
        If the stream can't be written.
    """
    source = context.definitions.source(source_name)
    writable(source)
    pushed = lines_of(source, rows)
    others = undeclared(source, pushed.columns)
    found = judged(source, pushed, context.clock())
    if found.refused and not partial:
        raise refusal(source, found, len(pushed.lines))
    absent = tuple(name for name in source.schema if pushed.lines and name not in pushed.columns)
    report = _written(context, source, found, logs or Logs(), others, absent)
    return report if wait_seconds is None else waited(context, report, wait_seconds)


def _written(
    context: Context, source: Source, found: Judged, logs: Logs, others: dict[str, str], absent: tuple[str, ...]
) -> PushReport:
    log = logs.of(source, context.root, context.settings.kafka, context.settings.kafka_options)
    positions = log.append(found.lines, found.keys) if found.lines else {}
    return PushReport(
        source.name, log.location, len(found.lines), positions, found.refused, found.refused_rows, others, absent
    )


def refusal(source: Source, found: Judged, rows: int) -> PushRefusedError:
    """The error for rows that are refused."""
    few = "; ".join(str(each) for each in found.refused[:3])
    more = ", …" if len(found.refused) > 3 else ""
    return PushRefusedError(
        f"{source.where}: {found.refused_rows:,} of {rows:,} rows are refused, and nothing was written: {few}{more}. "
        "Mend them, or push with partial=true to have the others written.",
        found.refused,
        found.refused_rows,
    )
