"""How the running streams are: what their workers said last, and whether these still run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from headrace.errors import DefinitionError, StreamError
from headrace.platform.processes import has_ended, is_here, is_running
from headrace.streaming.status import StreamStatus, read_status
from headrace.types import SECOND

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.definitions.sources import Source
    from headrace.platform.context import Context

RUNNING: Final = "running"
CATCHING_UP: Final = "catching up"
STOPPED: Final = "stopped"
FAILED: Final = "failed"
GONE: Final = "gone"
"""Its process is no more, and it never said that it would end."""
GONE_AFTER_SECONDS: Final = 120
"""For how long a worker of another machine may say nothing; a running one says something every few seconds."""
CONDITIONS: Final = (RUNNING, CATCHING_UP, STOPPED, FAILED, GONE)
LIVE: Final = frozenset({RUNNING, CATCHING_UP})


def status_folder(context: Context, source_name: str) -> Path:
    """Where the workers of a source's stream say how they are."""
    return context.lake.folder("state", "streams", source_name)


def stream_status(context: Context, source_name: str | None = None) -> list[StreamStatus]:
    """What each worker of each stream said last, by source and worker; empty where no stream ever ran.

    A worker whose process ended without a word has the condition ``gone``; so has one of another machine or container,
    whose processes can't be seen from here, that said nothing for two minutes.

    Parameters
    ----------
    context : Context
        The project.
    source_name : str, optional
        Only the stream of this source.

    Raises
    ------
    UnknownNameError
        If there is no such source.
    DefinitionError
        If that source has no stream.
    StreamError
        If what a worker wrote can't be read.
    """
    return [each for source in _streamed(context, source_name) for each in _workers(context, source.name)]


def _streamed(context: Context, source_name: str | None) -> list[Source]:
    if source_name is None:
        return [source for source in context.definitions.sources.values() if source.stream is not None]
    source = context.definitions.source(source_name)
    if source.stream is None:
        raise DefinitionError(f"{source.where} has no stream. Give it one: stream=hr.Kafka(…).")
    return [source]


def _workers(context: Context, source_name: str) -> list[StreamStatus]:
    folder = status_folder(context, source_name)
    try:
        found = read_status(folder)
    except (OSError, msgspec.MsgspecError) as error:
        raise StreamError(
            f"source '{source_name}': what its stream says of itself in {folder} can't be read: {error}. "
            "Another version of headrace may have written it; a running stream writes it anew after each epoch."
        ) from error
    return [_seen(each, context.clock()) for each in _of_this_run(found)]


def _of_this_run(found: Sequence[StreamStatus]) -> Iterable[StreamStatus]:
    """Without workers that an earlier run had and the last one has not."""
    newest = max(found, key=_start, default=None)
    return [each for each in found if newest is not None and each.worker < newest.workers]


def _start(status: StreamStatus) -> int:
    return status.started_at


def _seen(status: StreamStatus, now: int) -> StreamStatus:
    why = _why_gone(status, now) if status.condition in LIVE else ""
    return replace(status, condition=GONE, why=why) if why else status


def _why_gone(status: StreamStatus, now: int) -> str:
    if status.process and not is_here(status.process):
        if now - status.at < GONE_AFTER_SECONDS * SECOND:
            return ""
        return f"its {status.place} says nothing any more: it ended, or that machine can't be reached"
    runs = not has_ended(status.process) if status.process else is_running(status.pid, status.started_at)
    return "" if runs else f"its {status.place} ended without a word: killed, or the machine went down"
