"""The platform as one object: a thin method for each use case."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.definitions.project import Definitions
from headrace.platform.context import Context
from headrace.platform.project import load_definitions
from headrace.platform.settings import read_settings
from headrace.platform.user import user

if TYPE_CHECKING:
    import polars as pl

    from headrace.connectors.log_opening import Logs
    from headrace.definitions.services import FeatureService
    from headrace.engines.base import Known
    from headrace.lake.base import VacuumReport
    from headrace.lake.layout import OptimizeReport
    from headrace.platform.backfill import BackfillReport, Progress
    from headrace.platform.check import Checked
    from headrace.platform.follow import FollowReport
    from headrace.platform.ingest import IngestReport, Listener
    from headrace.platform.materialize import MaterializeReport
    from headrace.platform.online_answer import OnlineAnswer
    from headrace.platform.plan import Plan
    from headrace.platform.push_report import PushReport
    from headrace.platform.quarantine import QuarantinedReason, ReplayReport
    from headrace.platform.status import SourceStatus
    from headrace.platform.stream_pace import Pace
    from headrace.platform.verify import VerifyReport
    from headrace.platform.verify_served_report import ServedReport
    from headrace.platform.verify_stream import StreamReport
    from headrace.platform.versions import Versions
    from headrace.platform.view_status import ViewStatus
    from headrace.registry.base import Hold, Publication
    from headrace.streaming.status import StreamStatus

Time = str | int | date | datetime


def now_us() -> int:
    """Now, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


class Platform:
    """A project: its definitions, and what can be done with them.

    Parameters
    ----------
    context : Context
        The project; `Platform.open` makes it from a folder.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._logs: Logs | None = None

    @classmethod
    def open(cls, path: str | Path = ".", *, clock: Callable[[], int] = now_us) -> Platform:
        """Open the project in a folder.

        Parameters
        ----------
        path : str or Path
            The folder of ``headrace.toml``.
        clock : callable
            Now, in microseconds UTC; for tests.

        Raises
        ------
        SettingsError
            If there is no project, or its settings are wrong.
        DefinitionError
            If a definition is wrong.
        """
        from headrace.lake.delta import DeltaLake
        from headrace.registry.sql import SqlRegistry

        root = Path(path).resolve()
        settings = read_settings(root, os.environ)
        definitions = load_definitions(root, settings)
        registry = SqlRegistry(settings.registry_url(root))
        return cls(Context(root, settings, definitions, registry, DeltaLake(settings.lake_location(root)), clock))

    @property
    def definitions(self) -> Definitions:
        """The definitions as the project's files say now."""
        return self.context.definitions

    def plan(self) -> Plan:
        """What `apply` would change, and what it would cost; see `headrace.platform.plan`."""
        from headrace.platform.plan import plan

        return plan(self.context)

    def apply(self) -> Plan:
        """Put the definitions in force; see `headrace.platform.apply`."""
        from headrace.platform.apply import apply

        return apply(self.context, by=user())

    def ingest(
        self, source: str | None = None, *, rebuild: bool = False, progress: Listener | None = None
    ) -> IngestReport:
        """Take new files of a source, or of all, to silver; see `headrace.platform.ingest`."""
        from headrace.platform.ingest import ingest

        return ingest(self.context, source, rebuild=rebuild, progress=progress)

    def follow(self, source: str, **options: Any) -> FollowReport:
        """Take what a source's stream brings to silver, as it comes; see `headrace.platform.follow`."""
        from headrace.platform.follow import follow

        return follow(self.context, source, **options)

    def stream(self, source: str, pace: Pace | None = None, **options: Any) -> None:
        """Keep the online store up to date from a source's stream; see `headrace.platform.stream`."""
        from headrace.platform.stream import stream

        stream(self.context, source, pace, **options)

    def push(self, source: str, rows: Any, *, wait_seconds: float | None = None, partial: bool = False) -> PushReport:
        """Write rows into a source's stream, durably; see `headrace.platform.push`."""
        from headrace.connectors.log_opening import Logs
        from headrace.platform.push import push

        if self._logs is None:
            self._logs = Logs()
        return push(self.context, source, rows, wait_seconds=wait_seconds, partial=partial, logs=self._logs)

    def stream_status(self, source: str | None = None) -> list[StreamStatus]:
        """What each worker of each stream said last; see `headrace.platform.stream_status`."""
        from headrace.platform.stream_status import stream_status

        return stream_status(self.context, source)

    def quarantine(self, source: str | None = None) -> list[QuarantinedReason]:
        """Count quarantined rows by reason; see `headrace.platform.quarantine.list_quarantine`."""
        from headrace.platform.quarantine import list_quarantine

        return list_quarantine(self.context, source)

    def quarantined_rows(self, source: str, *, limit: int = 20, reason: str | None = None) -> pl.DataFrame:
        """Quarantined rows with their reasons; see `headrace.platform.quarantine.show_quarantine`."""
        from headrace.platform.quarantine import show_quarantine

        return show_quarantine(self.context, source, limit, reason)

    def replay_quarantine(self, source: str) -> ReplayReport:
        """Judge quarantined rows again; see `headrace.platform.quarantine.replay_quarantine`."""
        from headrace.platform.quarantine import replay_quarantine

        return replay_quarantine(self.context, source)

    def optimize(self, name: str | None = None, *, target_bytes: int = 512_000_000) -> dict[str, OptimizeReport]:
        """Rewrite small files of tables into large ones; see `headrace.platform.optimize`."""
        from headrace.platform.optimize import optimize_tables

        return optimize_tables(self.context, name, target_bytes=target_bytes)

    def status(self) -> tuple[list[SourceStatus], list[ViewStatus]]:
        """How far each source and each view has come."""
        return self.source_status(), self.view_status()

    def view_status(self) -> list[ViewStatus]:
        """How far each view has come; see `headrace.platform.view_status`."""
        from headrace.platform.view_status import view_status

        return view_status(self.context)

    def source_status(self) -> list[SourceStatus]:
        """How far each source has come; see `headrace.platform.status`."""
        from headrace.platform.status import source_status

        return source_status(self.context)

    def backfill(
        self,
        view: str,
        start: Time | None = None,
        end: Time | None = None,
        *,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> BackfillReport:
        """Compute a view's steps within ``[start, end)``; see `headrace.platform.backfill`."""
        from headrace.platform.backfill import backfill

        return backfill(self.context, view, start, end, progress=progress)

    def versions(self, view: str) -> Versions:
        """What was published of a view, and what an audit rejected; see `headrace.platform.versions`."""
        from headrace.platform.versions import versions

        return versions(self.context, view)

    def check(self, view: str) -> Checked:
        """Audit what is published of a view by its checks as they are now; see `headrace.platform.check`."""
        from headrace.platform.check import check

        return check(self.context, view)

    def rollback(self, view: str, version: int | None = None, *, reason: str = "") -> Publication:
        """Go back to an earlier version, offline and online, and hold the view; see `headrace.platform.rollback`."""
        from headrace.platform.rollback import rollback

        return rollback(self.context, view, version, reason)

    def hold(self, view: str, reason: str) -> Hold:
        """Publish nothing of a view until its release; see `headrace.platform.holds`."""
        from headrace.platform.holds import hold

        return hold(self.context, view, reason)

    def release(self, view: str) -> Hold | None:
        """Let a held view be published again; see `headrace.platform.holds`."""
        from headrace.platform.holds import release

        return release(self.context, view)

    def materialize(self, view: str, *, whole: bool = False) -> MaterializeReport:
        """Bring the online store to what is published of a view; see `headrace.platform.materialize`."""
        from headrace.platform.materialize import materialize

        return materialize(self.context, view, whole=whole)

    def online(self, service: str | FeatureService, entity_rows: Any, *, at: Time | None = None) -> OnlineAnswer:
        """The features of some entities now, from the online store; see `headrace.platform.online`."""
        from headrace.platform.online import online

        return online(self.context, service, entity_rows, at)

    def verify(self, view: str, **options: Any) -> VerifyReport:
        """Compare offline, online and recomputed values; see `headrace.platform.verify`."""
        from headrace.platform.verify import verify

        return verify(self.context, view, **options)

    def verify_stream(self, view: str | None = None, **options: Any) -> list[StreamReport]:
        """Compare what streams made with the batch lane, row by row; see `headrace.platform.verify_stream`."""
        from headrace.platform.verify_stream import verify_stream

        return verify_stream(self.context, view, **options)

    def verify_served(self, service: str | None = None, **options: Any) -> ServedReport:
        """Compare what was served with the offline truth of its time; see `headrace.platform.verify_served`."""
        from headrace.platform.verify_served import verify_served

        return verify_served(self.context, service, **options)

    def vacuum(self, name: str | None = None, *, keep: int = 10, dry_run: bool = False) -> dict[str, VacuumReport]:
        """Remove files that nobody needs any more; see `headrace.platform.vacuum`."""
        from headrace.platform.vacuum import vacuum

        return vacuum(self.context, name, keep=keep, dry_run=dry_run)

    def unpin(self, training_set: str | Path) -> int:
        """Let vacuum remove the versions that a training set pins; see `headrace.platform.pinned`."""
        from headrace.platform.pinned import owner_of

        return self.context.registry.unpin(owner_of(Path(training_set)))

    def training_set(
        self,
        labels: Any,
        service: str | FeatureService,
        time: str = "label_time",
        *,
        known: Known = "then",
        on_incomplete: str = "raise",
        statuses: bool = False,
        to: str | Path | None = None,
    ) -> Any:
        """Join features to labels as they were known; see `headrace.platform.training_set`."""
        from headrace.platform.training_set import Options, training_set

        options = Options(time, known, on_incomplete, statuses)
        return training_set(self.context, labels, service, options, None if to is None else Path(to))

    def rebuild(self, manifest: str | Path, to: str | Path) -> pl.DataFrame:
        """Make a training set again from its manifest, to the byte; see `headrace.platform.rebuild`."""
        from headrace.platform.rebuild import rebuild

        return rebuild(self.context, Path(manifest), Path(to))

    def history(
        self, view: str, key: Mapping[str, Any], start: Time | None = None, end: Time | None = None
    ) -> pl.DataFrame:
        """The steps of one entity; see `headrace.platform.history`."""
        from headrace.platform.history import history

        return history(self.context, view, key, start, end)

    def snapshot(self, service: str | FeatureService, at: Time, entities: Any = None) -> Any:
        """The features of many entities at one time; see `headrace.platform.history.snapshot`."""
        from headrace.platform.history import snapshot

        return snapshot(self.context, service, at, entities)
