"""Bytewax over the beginning of a topic of pings; runs in its own environment.

``.venv-bytewax/bin/python -m benchmarks.stream_peers.bytewax '{"bootstrap": …, "topic": …, "ends": …, "results": …}'``
folds each driver's pings in Bytewax' own windows, in as many processes as asked, writes the rows as CSV and prints one
JSON line. Its clock is held still: by the real one, a backlog that is read slower than it came would count as late.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.stream_peers.used import family_peak_rss_mb

BATCH: Final = 5_000
ALIGNED_TO: Final = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """What to run.

    Parameters
    ----------
    bootstrap, topic, results : str
        Where from; the folder to write to.
    ends : mapping of str to int
        Up to which offset each partition is read.
    size_seconds, hop_seconds, delay_seconds : float
        Of the windows and of the watermark.
    processes : int
        How many.
    """

    bootstrap: str
    topic: str
    results: str
    ends: dict[str, int]
    size_seconds: float = 300.0
    hop_seconds: float = 30.0
    delay_seconds: float = 10.0
    processes: int = 2


def main(asked: str) -> dict[str, Any]:
    """Run it; what to print."""
    wanted = Asked(**json.loads(asked))
    Path(wanted.results).mkdir(parents=True, exist_ok=True)
    addresses = json.dumps([f"127.0.0.1:{_free_port()}" for _ in range(wanted.processes)])
    command = [sys.executable, "-m", "benchmarks.stream_peers.bytewax", asked, addresses]
    running = [subprocess.Popen([*command, str(n)], stdout=subprocess.PIPE, text=True) for n in range(wanted.processes)]  # noqa: S603
    said = [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "peer": f"bytewax {said[0]['version']}", "events": sum(wanted.ends.values()),
        "seconds": max(one["seconds"] for one in said), "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_rss_mb": sum(one["peak_rss_mb"] for one in said), "processes": wanted.processes,
        "size": f"{wanted.size_seconds:g} s", "hop": f"{wanted.hop_seconds:g} s", "sink": "csv",
    }  # fmt: skip


def one_process(asked: Asked, addresses: list[str], number: int) -> dict[str, Any]:
    """The work of one of the processes."""
    from importlib.metadata import version

    from bytewax._bytewax import cluster_main  # type: ignore[import-not-found]

    flow = _flow(asked, Path(asked.results) / f"{number}.csv")
    began = time.perf_counter()
    cluster_main(flow, addresses if asked.processes > 1 else [], number)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_rss_mb": family_peak_rss_mb(), "version": version("bytewax")}


def _flow(asked: Asked, to: Path) -> Any:
    import bytewax.operators as op  # type: ignore[import-not-found]
    import bytewax.operators.windowing as w  # type: ignore[import-not-found]
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]

    size, hop = timedelta(seconds=asked.size_seconds), timedelta(seconds=asked.hop_seconds)
    clock = w.EventClock(
        lambda ping: ping[0], timedelta(seconds=asked.delay_seconds), now_getter=lambda: ALIGNED_TO,
        to_system_utc=lambda _: None,
    )  # fmt: skip
    flow = Dataflow("pings")
    pings = op.flat_map_batch("decode", op.input("topic", flow, _source(asked)), _decoded)
    folded = w.fold_window(
        "windows", pings, clock, w.SlidingWindower(size, hop, ALIGNED_TO), lambda: (0, 0.0),
        lambda held, ping: (held[0] + 1, held[1] + ping[1]), _merged, ordered=False,
    )  # fmt: skip
    op.output("csv", folded.down, _sink(to, size, hop))
    return flow


def _decoded(messages: list[Any]) -> list[tuple[str, tuple[datetime, float]]]:
    import orjson  # type: ignore[import-not-found]

    pings = [orjson.loads(message.value) for message in messages]
    return [(str(p["driver_id"]), (datetime.fromisoformat(p["ts"]), p["speed_mps"])) for p in pings]


def _merged(one: tuple[int, float], other: tuple[int, float]) -> tuple[int, float]:
    return one[0] + other[0], one[1] + other[1]


def _source(asked: Asked) -> Any:
    from bytewax.connectors.kafka import KafkaSource  # type: ignore[import-not-found]
    from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition  # type: ignore[import-not-found]

    whole = KafkaSource([asked.bootstrap], [asked.topic], tail=False, batch_size=BATCH)

    class Part(StatefulSourcePartition):  # type: ignore[misc]
        def __init__(self, part: Any, end: int) -> None:
            self._part, self._left = part, end

        def next_batch(self) -> list[Any]:
            if self._left <= 0:
                raise StopIteration
            found = self._part.next_batch()[: self._left]
            self._left -= len(found)
            return list(found)

        def snapshot(self) -> None:
            return None

        def close(self) -> None:
            self._part.close()

    class Beginning(FixedPartitionedSource):  # type: ignore[misc]
        def list_parts(self) -> list[str]:
            return list(whole.list_parts())

        def build_part(self, step_id: str, for_part: str, resume_state: None) -> Part:
            return Part(whole.build_part(step_id, for_part, resume_state), asked.ends[for_part.split("-", 1)[0]])

    return Beginning()


def _sink(to: Path, size: timedelta, hop: timedelta) -> Any:
    from bytewax.outputs import DynamicSink, StatelessSinkPartition  # type: ignore[import-not-found]

    class Rows(StatelessSinkPartition):  # type: ignore[misc]
        def __init__(self) -> None:
            self._file = to.open("w")

        def write_batch(self, items: list[Any]) -> None:
            for driver, (window, (count, total)) in items:
                end = ALIGNED_TO + hop * window + size
                self._file.write(f"{driver},{end.timestamp():.0f},{count},{total / count!r}\n")

        def close(self) -> None:
            self._file.close()

    class Csv(DynamicSink):  # type: ignore[misc]
        def build(self, step_id: str, worker_index: int, worker_count: int) -> Rows:
            return Rows()

    return Csv()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    os.environ.setdefault("RUST_BACKTRACE", "0")
    if len(sys.argv) == 2:
        print(json.dumps(main(sys.argv[1])))
    else:
        print(json.dumps(one_process(Asked(**json.loads(sys.argv[1])), json.loads(sys.argv[2]), int(sys.argv[3]))))
