"""A process of its own that follows a test project, to be killed: ``python -m tests.integration.follow_child``."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import headrace as hr
from headrace.definitions.locations import Kafka, Location
from tests.following import Followed
from tests.ingesting import GPS, gps


def project(root: Path) -> Followed:
    """The project in a folder; a file of it says where Kafka is, and the topic, if that is the stream."""
    named = (root / "kafka").read_text().split() if (root / "kafka").exists() else []
    stream: Location = Kafka(named[1]) if named else hr.Files("in/*.jsonl")
    source = hr.EventSource(
        "gps", schema=GPS | {"seen": hr.Timestamp}, event_time="ts", available_time="seen", dedupe_on="event_id",
        contract=[hr.check.between("lat", -90, 90)], max_rejected_share=0.5, batch=gps().batch, stream=stream,
    )  # fmt: skip
    return Followed(root, source, kafka=named[0] if named else "")


def main() -> None:
    """Follow in small epochs, and put files together often."""
    from headrace.platform import compacting, intake
    from headrace.platform.context import Context
    from headrace.platform.follow import follow

    intake.COMPACT_EVERY = 2  # type: ignore[misc]
    setattr(compacting, "compact", functools.partial(getattr(compacting, "compact"), least_files=3))  # noqa: B009, B010 - not exported
    found = project(Path(sys.argv[1]))
    context: Context = found.context()
    report = follow(context, "gps", until_idle=True, most_rows=6)
    print(report.ingested.batches, file=sys.stderr)


if __name__ == "__main__":
    main()
