"""``headrace ingest --follow``: what is told while a stream is followed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

from headrace.cli.stopping import asked_to_stop

if TYPE_CHECKING:
    from headrace.platform import Platform
    from headrace.platform.follow import EpochDone, Notice
    from headrace.platform.ingest import SourceReport

_TELL_SECONDS: Final = 10.0


def follow(platform: Platform, source: str, *, until_idle: bool, reset: bool, epoch_seconds: float) -> SourceReport:
    """Follow a source until SIGTERM or Ctrl-C, telling on stderr how it goes."""
    with asked_to_stop() as stop:
        report = platform.follow(
            source, until_idle=until_idle, reset=reset, epoch_seconds=epoch_seconds, stop=stop, progress=_Teller()
        )
    return report.ingested


@dataclass(slots=True)
class _Teller:
    """Tells notices at once, and of epochs every ten seconds."""

    rows: int = 0
    told_at: float = 0.0

    def __call__(self, event: EpochDone | Notice) -> None:
        from headrace.platform.follow import Notice

        if isinstance(event, Notice):
            typer.secho(f"{event.source}: {event.text}", fg="yellow", err=True)
            return
        self.rows += event.rows
        if time.monotonic() - self.told_at > _TELL_SECONDS:
            behind = f", {event.behind:,} offsets behind" if event.behind else ""
            typer.echo(f"{event.source}: {self.rows:,} records through epoch {event.number}{behind}", err=True)
            self.told_at = time.monotonic()
