"""Chapter 1: files land."""

from __future__ import annotations

from pathlib import Path

from data_platform.demo.telling import Teller
from data_platform.simulator import City, Written

PING_INTERVAL_SECONDS = 20.0


def simulate(tell: Teller, root: Path, days: int, drivers: int) -> tuple[City, Written]:
    """Write the landing files, the labels and the truth."""
    city = City(drivers=drivers, ping_interval_s=PING_INTERVAL_SECONDS)
    with tell.chapter("Simulate", "Phones report, riders ride, documents arrive; some of it late, twice or broken."):
        written = city.write(root, days)
        tell.say(
            f"{written.gps_messages:,} GPS messages, {written.ride_changes:,} changes of the rides table and "
            f"{written.document_rows:,} driver documents in {written.files} files, {written.size_bytes / 1e6:.0f} MB."
        )
    return city, written
