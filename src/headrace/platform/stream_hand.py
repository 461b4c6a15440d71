"""One worker of several of a stream, as a process: ``python -m headrace.platform.stream_hand ROOT SOURCE NUMBER``.

Its pace comes in a line on the standard input. It goes on until that is closed, so it ends with whoever started it.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headrace.connectors.stream_opening import open_stream
from headrace.errors import HeadraceError, StateError
from headrace.platform.facade import Platform
from headrace.platform.stream_pace import Pace, Part
from headrace.platform.stream_parts import Parts, alone
from headrace.platform.stream_splitting import PartStream
from headrace.platform.stream_worker import Worker

if TYPE_CHECKING:
    from headrace.platform.context import Context


def main() -> int:
    """Run it; 1 if it failed, what it says then stands in its status."""
    root, source_name, number = sys.argv[1:]
    pace = msgspec.json.decode(sys.stdin.buffer.readline(), type=Pace)
    gc.set_threshold(200_000, 20, 100)  # an epoch makes 100,000s of records; each looked through again and again
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: whoever started it is told too
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    try:
        _work(Platform.open(Path(root)).context, source_name, int(number), pace, ended)
    except HeadraceError as error:
        sys.stderr.write(f"{source_name}, worker {number}: {error}\n")
        return 1
    return 0


def _wait_for_end(ended: threading.Event) -> None:
    os.read(sys.stdin.fileno(), 1)  # past the buffer: its lock must be free when the process ends
    ended.set()


def _work(context: Context, source_name: str, number: int, pace: Pace, ended: threading.Event) -> None:
    source = context.definitions.source(source_name)
    layout, settings = Parts(context, source).layout(), context.settings
    if layout is None or number >= layout.workers:
        raise StateError(f"{source.where}: its stream is not split so. Start it by headrace stream --workers N.")
    part = Part(number, layout.workers)

    def tell(text: str) -> None:
        sys.stderr.write(f"{source_name}, worker {number}: {text}\n")

    opened = open_stream(source, context.root, settings.kafka, settings.kafka_options, settings.schema_registry)
    with alone(context, source_name, part), closing(opened):
        stream = PartStream(opened, part, layout.partitions)
        keyed = layout.keyed(source)
        Worker(context, source, stream, pace, ended.is_set, tell, part=part, check=keyed.check).run()


if __name__ == "__main__":
    raise SystemExit(main())
