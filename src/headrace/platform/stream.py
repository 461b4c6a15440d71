"""Running the stream of a source: its events to served values, each exactly once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING

from headrace.connectors.stream_opening import open_stream
from headrace.errors import DefinitionError
from headrace.platform.stream_crew import Crew
from headrace.platform.stream_pace import Pace
from headrace.platform.stream_status import status_folder
from headrace.platform.stream_worker import Worker

if TYPE_CHECKING:
    from headrace.platform.context import Context


def stream(
    context: Context,
    source_name: str,
    pace: Pace | None = None,
    *,
    workers: int = 1,
    reset: bool = False,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Run a source's stream until it is time to stop.

    Parameters
    ----------
    context : Context
        The project.
    source_name : str
        A source with ``stream=``.
    pace : Pace, optional
        How it runs.
    workers : int
        How many processes share its partitions. It may be another number each time.
    reset : bool
        Forget what an earlier run remembered, and begin with what is published and what the log keeps.
    stop : callable
        Asked between epochs and while waiting.
    tell : callable
        Told what people should know.

    Raises
    ------
    DefinitionError
        If the source has no stream, or several workers can't share it.
    ConflictError
        If another process runs it.
    AgedOutError
        If records are gone that were not read.
    StreamError
        If the log can't be read, no view needs the stream, or topics can't be written.
    FencedError
        If another writer took a view over.
    StateError
        If what was remembered does not fit what is found.
    RejectedError
        If too many records are refused by the contract: nothing of their epoch is written.
    OnlineStoreError
        If the store was away for longer than the pace allows.
    LakeError
        If the lake can't be written, as where a disk is full: says which file. Started again, it goes on.
    """
    source = context.definitions.source(source_name)
    if source.stream is None:
        raise DefinitionError(f"{source.where} has no stream: give it stream=hr.Kafka(…) or stream=hr.Files(…).")
    settings = context.settings
    opened = open_stream(source, context.root, settings.kafka, settings.kafka_options, settings.schema_registry)
    with context.lake.lock(f"stream-{source_name}"), closing(opened):
        if reset:
            shutil.rmtree(status_folder(context, source_name), ignore_errors=True)
        crew = Crew(context, source, opened, pace or Pace(), workers, stop, tell, reset=reset)
        if workers > 1:
            crew.run()
        elif crew.gather():
            Worker(context, source, opened, crew.pace, stop, tell, reset=reset).run()
