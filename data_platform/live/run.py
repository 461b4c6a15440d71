"""The live demo from its start to its end."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from data_platform.demo.folder import OUTCOME, isolate
from data_platform.live.arriving import GPS_TOPIC, Stretch, busiest, simulate
from data_platform.live.comparing import compare
from data_platform.live.picture import Camera, photographing
from data_platform.live.producing import Producer, now_us, producing
from data_platform.live.servers import serving
from data_platform.live.streaming import Running, project, streaming
from data_platform.live.telling import LiveTeller
from data_platform.live.truth import expected, found
from data_platform.live.watching import Percentiles, Watcher, city_waits
from data_platform.simulator.places import CITIES
from data_platform.stack.ports import free_port

WATCHED: Final = 40
_LOOK_SECONDS: Final = 0.1
_CATCH_UP_SECONDS: Final = 60.0
_PICTURE_SHARE: Final = 0.75


@dataclass(frozen=True, slots=True)
class Options:
    """How the demo runs.

    Parameters
    ----------
    seconds : float
        How long it is watched.
    drivers : int
        On the books of the platform.
    ping_seconds : float
        Between two pings of a driver.
    seed : int
        Of the simulation.
    folder : Path or None
        For the project, which is left there; None for a temporary one.
    page : int
        The page's port; 0 for one that is free.
    picture : Path or None
        Where a picture of the page goes.
    kafka, redis : str
        Servers that run already: an address and a URL.
    """

    seconds: float = 90.0
    drivers: int = 3_000
    ping_seconds: float = 5.0
    seed: int = 7
    folder: Path | None = None
    page: int = 0
    picture: Path | None = None
    kafka: str = ""
    redis: str = ""


def run_live(options: Options) -> dict[str, Any]:
    """Let a morning happen now, through Kafka and streams into Redis, and compare what is served with the truth.

    Everything that it starts ends with it, however it ends. What it found is also in ``outcome.json`` of the project.

    Raises
    ------
    HeadraceError
        If a server or the stream can't be started, or ends meanwhile.
    """
    tell = LiveTeller()
    isolate()
    tell.title(f"headrace, live: six cities, {options.drivers:,} drivers, {options.seconds:.0f} seconds")
    with ExitStack() as undo:
        scratch = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="headrace-live-")))
        camera = undo.enter_context(photographing(options.picture, scratch / "browser"))
        stretch = _simulated(tell, options)
        with tell.chapter("Start", "Kafka, which stamps each record as it takes it; Redis; the definitions, applied."):
            servers = undo.enter_context(serving(scratch, options.kafka, options.redis))
            platform = project(options.folder or scratch / "project", servers)
            tell.say(f"Kafka at {servers.kafka}, Redis at {servers.online}, the project in {platform.context.root}")
        producer = undo.enter_context(producing(servers.kafka, stretch.at(now_us())))
        stream = undo.enter_context(streaming(platform, options.page or free_port()))
        outcome: dict[str, Any] = {"url": stream.url, "pids": [*servers.pids, stream.process.pid]}
        _caught_up(tell, producer, stream)
        outcome["freshness"] = _watched(tell, options.seconds, producer, stream, camera)
        outcome |= _compared(tell, producer, stream)
        outcome["seconds"] = tell.seconds
        (platform.context.root / OUTCOME).write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
    tell.say(f"The page was at {stream.url}. All that was started has ended.", style="dim")
    return outcome


def _simulated(tell: LiveTeller, options: Options) -> Stretch:
    with tell.chapter("Simulate", "A morning, which is moved so that it happens from now on."):
        seconds = options.seconds + 2 * _CATCH_UP_SECONDS
        stretch = simulate(options.drivers, options.ping_seconds, seconds, options.seed)
        tell.say(
            f"{len(stretch.pings):,} GPS messages and {len(stretch.rides):,} changes of rides, each with its time."
        )
    return stretch


def _caught_up(tell: LiveTeller, producer: Producer, stream: Running) -> None:
    """Wait until the stream has read what was there before it."""
    with tell.chapter("Catch up", "`headrace stream` starts as a process of its own and reads what waited for it."):
        tell.say(f"Its page: {stream.url}", style="bold")
        waited = sum(each.due(now_us()) for each in producer.arrivals.values())
        stream.wait_for(waited, _CATCH_UP_SECONDS)
        tell.say(f"{waited:,} records waited: ten minutes of pings, and the rides of the day.")


def _watched(
    tell: LiveTeller, seconds: float, producer: Producer, stream: Running, camera: Camera
) -> dict[str, dict[str, float]]:
    """Read from Redis while records come, and see how old it is."""
    gps = producer.arrivals[GPS_TOPIC]
    watcher = Watcher(stream.platform, gps, busiest(gps, now_us(), WATCHED))
    with tell.chapter("Watch", "Pings, late, twice or torn, as they happen; what Redis serves of them, each second."):
        tell.live_headings()
        for second in _seconds(seconds, watcher):
            _tell_second(tell, second, producer, stream, watcher)
            if second >= _PICTURE_SHARE * seconds:
                camera.take(stream.url)
        fresh = {
            "sent to read": Percentiles.of(watcher.since_arrival_us),
            "happened to read": Percentiles.of(watcher.since_event_us),
        }
        tell.fresh(fresh)
    camera.wait()
    return {name: asdict(each) for name, each in fresh.items()}


def _seconds(seconds: float, watcher: Watcher) -> Iterator[int]:
    """The whole seconds, as they are over; meanwhile the watcher looks."""
    began, told = time.monotonic(), 0
    while (passed := time.monotonic() - began) < seconds:
        watcher.look()
        if passed >= told + 1:
            told = int(passed)
            yield told
        time.sleep(_LOOK_SECONDS)


def _tell_second(tell: LiveTeller, second: int, producer: Producer, stream: Running, watcher: Watcher) -> None:
    served = watcher.look()
    driver = watcher.drivers[second % len(watcher.drivers)]
    city = CITIES[second % len(CITIES)]
    wait = city_waits(stream.platform, CITIES)[city]
    tell.live(second, producer.total, stream.status(), served[driver], now_us(), (city, wait))


def _compared(tell: LiveTeller, producer: Producer, stream: Running) -> dict[str, Any]:
    """What became of the records, and what is served, each beside the truth."""
    with tell.chapter("Compare", "What is served, now and scheduled, beside the batch kernel on the records as sent."):
        producer.finish()
        stream.wait_for(producer.total, _CATCH_UP_SECONDS)
        truth, said = expected(producer), found(stream.status())
        tell.counted(truth, said)
        views = compare(stream.platform, producer, now_us())
        tell.compared(views)
        different = sum(each.different for each in views)
        agree = not different and truth == said
        tell.say(
            f"{sum(each.values for each in views):,} values compared, {different} different."
            if agree
            else "The counts or values differ from the simulator's: this is a defect of headrace.",
            style="" if agree else "bold red",
        )
    return {"sent": producer.total, "expected": truth, "found": said, "views": [asdict(each) for each in views]}
