"""What the live demo prints: a line a second, then what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.text import Text

from data_platform.demo.telling import Teller
from data_platform.live.comparing import Compared
from data_platform.live.truth import Counts
from data_platform.live.watching import Percentiles
from headrace.streaming.status import StreamStatus

_LINE: Final = "{:>6}  {:>9}  {:>9}  {:>6}  {:<42}  {}"
_HEADINGS: Final = _LINE.format("", "sent", "read", "p50, s", "a driver: speed, status, last ping", "a city's wait")


class LiveTeller(Teller):
    """Prints the live demo."""

    def live_headings(self) -> None:
        """Print what the columns of `live` are."""
        self.console.print(Text(_HEADINGS, style="dim"), soft_wrap=True)

    def live(
        self, second: int, sent: int, statuses: Mapping[str, StreamStatus], driver: Mapping[str, Any], now_us: int,
        city: tuple[str, float | None],
    ) -> None:  # fmt: skip
        """Print what is so at a second."""
        read = sum(each.events for each in statuses.values())
        speed, ping = driver["driver_now__speed_mean_5m"], driver["driver_now__last_ping"]
        age = "-" if ping is None else f"{now_us / 1_000_000 - ping.timestamp():.1f} s ago"
        shown = f"{driver['driver_id']}: {_number(speed)} m/s, {driver['driver_now__status']}, {age}"
        fresh = f"{statuses['gps'].freshness_p50_seconds:.2f}"
        line = _LINE.format(f"{second} s", f"{sent:,}", f"{read:,}", fresh, shown, f"{city[0]} {_number(city[1])} s")
        self.console.print(line, soft_wrap=True)

    def counted(self, expected: Mapping[str, Counts], found: Mapping[str, Counts]) -> None:
        """Print what became of the records, beside what had to."""
        rows = [
            (source, what, count, found[source][what])
            for source, counts in expected.items()
            for what, count in counts.items()
        ]
        self.table(("source", "records", "in truth", "by the stream"), rows)

    def fresh(self, found: Mapping[str, Percentiles]) -> None:
        """Print how old pings were when they were first read."""
        rows = [(name, each.count, each.p50, each.p99) for name, each in found.items()]
        self.table(("freshness of watched drivers", "pings", "p50, s", "p99, s"), rows)

    def compared(self, found: Sequence[Compared]) -> None:
        """Print what was compared."""
        rows = [(each.view, each.entities, each.values, each.present, each.different) for each in found]
        self.table(("view", "entities", "values compared", "not null", "different"), rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
