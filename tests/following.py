"""A small project that is fed by a stream, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import headrace as hr
from headrace.platform.context import Context
from headrace.platform.follow import FollowReport, follow
from headrace.platform.ledger import Ledger
from headrace.platform.settings import Settings
from tests.ingesting import Project, gps, lines


def streamed(pattern: str = "in/*.jsonl", **options: Any) -> hr.EventSource:
    """Pings that come by files that grow."""
    return gps(**{"stream": hr.Files(pattern), **options})


@dataclass
class Followed(Project):
    """A project whose source has a stream."""

    kafka: str = ""

    def context(self, clock: Callable[[], int] | None = None) -> Context:
        """What use cases are given."""
        return replace(super().context(clock), settings=Settings("test", kafka=self.kafka))

    def write(self, name: str, rows: list[Any]) -> Path:
        """Append rows to a file that is tailed."""
        path = self.root / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(lines(rows))
        return path

    def follow(self, **options: Any) -> FollowReport:
        """Follow the source until all that is there is in."""
        return follow(self.context(), self.source.name, **{"until_idle": True, **options})

    def ledger(self) -> Ledger:
        """What bronze says."""
        return Ledger.read(self.table("bronze"))
