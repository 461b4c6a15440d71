"""Computing a view's steps: written span by span, audited, then published all at once; resumable at any point."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.engines.base import Carry, Computed
from headrace.platform.auditing import audited
from headrace.platform.candidate import Candidate, Part, candidates
from headrace.platform.carries import carry_at, carry_digest, rows_ahead, save_carry
from headrace.platform.crash_points import crash_point
from headrace.platform.extent import Extent, candidate_lock, checked_extent, rows_by_day
from headrace.platform.gold import Gold, silver_table, state_folder
from headrace.platform.gold_staging import staged_steps
from headrace.platform.holds import check_not_held
from headrace.platform.leases import publishing
from headrace.platform.materialize import catch_up
from headrace.platform.publishing import publish
from headrace.platform.registering import is_interrupted, turn
from headrace.platform.spans import ROWS_A_SPAN, Span, spans
from headrace.types import instant

if TYPE_CHECKING:
    from datetime import date, datetime

    import polars as pl

    from headrace.definitions.views import FeatureView
    from headrace.platform.context import Context
    from headrace.registry.base import Publication

SAVE_EVERY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill has come.

    Parameters
    ----------
    done_rows, total_rows : int
        Rows of silver, read and to be read.
    through : int
        The instant that has been reached.
    """

    done_rows: int
    total_rows: int
    through: int


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a backfill did.

    Parameters
    ----------
    view, run_id : str
        The view, and the run that its commits name.
    since, until : int
        The span that is now up to date, in microseconds.
    rows, steps, spans : int
        Rows read, steps of the candidate, and the spans that were computed.
    publication : Publication, optional
        What readers get now; None where nothing was missing.
    non_finite : mapping of str to int
        NaN and infinite values by column, which count as null.
    seconds : float
        How long it took.
    """

    view: str
    run_id: str
    since: int
    until: int
    rows: int
    steps: int
    spans: int
    publication: Publication | None
    non_finite: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def backfill(
    context: Context,
    view_name: str,
    start: str | int | date | datetime | None = None,
    end: str | int | date | datetime | None = None,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    rows_a_span: int = ROWS_A_SPAN,
) -> BackfillReport:
    """Compute the steps of a view within ``[start, end)``, and go on to its frontier where they matter.

    Parameters
    ----------
    context : Context
        The project.
    view_name : str
        The view.
    start, end : time, optional
        The span. By default from what is missing or has changed to the end of what is known.
    progress : callable
        Called after each span.
    rows_a_span : int
        How many rows are held in memory at once, about.

    Returns
    -------
    BackfillReport

    Raises
    ------
    NotAppliedError
        If the view's definition has not been applied, or its source has no rows yet.
    AuditError
        If the steps fail the view's checks: readers keep what was published before.
    HeldError
        If the view is held.
    ConflictError
        If another backfill of the same span is running, or what this one stands on was changed meanwhile.
    OnlineStoreError
        If the steps are published, and the online store could not be written.
    """
    began = time.monotonic()
    gold = current_gold(context, context.definitions.view(view_name))
    extent = checked_extent(
        context, gold, None if start is None else instant(start), None if end is None else instant(end)
    )
    with context.lake.lock(candidate_lock(gold, extent.start, extent.end)):
        run = _Run(context, gold, extent, rows_a_span)
        for done in run.spans():
            progress(done)
        publication = _published(context, gold, run.candidate) or serve_again(context, gold)
    catch_up(context, gold.view.name)
    return run.report(publication, time.monotonic() - began)


def current_gold(context: Context, view: FeatureView) -> Gold:
    """What is published of a view that is not held, after finishing what a crash left unfinished."""
    check_not_held(context, view.name)
    gold = Gold.of(context, view)
    if is_interrupted(gold):
        with turn(context, gold) as mine:
            gold = mine.gold
    published = _published_runs(context, view.name)
    for candidate in candidates(state_folder(context.lake, gold)):
        if candidate.run_id in published:  # a crash came after the publication
            candidate.forget()
    return gold


def _published(context: Context, gold: Gold, candidate: Candidate) -> Publication | None:
    """Audit and publish what a run has computed; None if that was nothing."""
    publication = None
    if candidate.parts and candidate.run_id not in _published_runs(context, gold.view.name):
        verdict = audited(context, gold, candidate)
        crash_point("after audit")
        publication = publish(context, gold, candidate, verdict)
    crash_point("before backfill ends")
    candidate.forget()
    return publication


def serve_again(context: Context, gold: Gold) -> Publication | None:
    """Serve a definition that is in force again and complete; None if it is served already, or lags behind."""
    mine, serving = gold.publication, context.registry.serving().get(gold.view.name)
    if mine is None or serving is None or serving.fingerprint == mine.fingerprint or serving.frontier > mine.frontier:
        return None
    with publishing(context.registry, gold.view.name) as lease:
        context.registry.serve(gold.view.name, mine.number, token=lease.token)
    return mine


def _published_runs(context: Context, view: str) -> set[str]:
    return {publication.run for publication in context.registry.publications(view)}


class _Run:
    """One candidate: reads ahead, computes, stages, and remembers what it carries."""

    def __init__(self, context: Context, gold: Gold, extent: Extent, rows_a_span: int) -> None:
        self.context, self.gold, self.extent, self.view = context, gold, extent, gold.view
        self.silver = silver_table(context.lake, self.view.source)
        self.folder = state_folder(context.lake, gold)
        self.candidate = Candidate.resume_or_begin(self.folder, extent, uuid.uuid4().hex[:12])
        self.rows_a_span = rows_a_span
        self.rows = self.spans_done = 0
        self.non_finite: dict[str, int] = {}
        self._saved_at = time.monotonic()
        self._days = rows_by_day(self.silver, self.extent.silver_version)
        self._published = gold.computed()

    def spans(self) -> Iterator[Progress]:
        """Do the work, span by span."""
        start = self.candidate.reached
        work = self._work(start)
        total = sum(span.rows for span in work)
        digests = {s.until: s.carry_digest for s in self.gold.segments()}
        if work:
            carry = carry_at(self.context, self.gold, start, self.extent.silver_version, self.rows_a_span)
            for span, rows in rows_ahead(self.silver, self.extent.silver_version, work):
                computed = self._compute(span, rows, carry)
                carry = computed.carry
                self._stage(span, computed, last=span is work[-1])
                yield Progress(self.rows, total, span.until)
                if span.until >= self.extent.end and digests.get(span.until) == carry_digest(carry):
                    break

    def _work(self, start: int) -> list[Span]:
        """The asked span in pieces, then, on the old cuts, what lies behind it up to the frontier."""
        asked = spans(start, self.extent.end, self._days, self.rows_a_span)
        behind = [
            piece
            for segment in self.extent.behind
            for piece in spans(max(segment.since, start), segment.until, self._days, self.rows_a_span)
        ]
        return asked + behind

    def _compute(self, span: Span, rows: pl.DataFrame, carry: Carry | None) -> Computed:
        computed = self.context.engine.compute(
            self.view, rows, carry, span.since, span.until, opening=self._opens(span)
        )
        self.rows += len(rows)
        for column, count in computed.non_finite.items():
            self.non_finite[column] = self.non_finite.get(column, 0) + count
        return computed

    def _opens(self, span: Span) -> bool:
        """Whether nothing is known of the time before a span."""
        return span.since == self.candidate.start and not self._published.contains_instant(span.since - 1)

    def _stage(self, span: Span, computed: Computed, *, last: bool) -> None:
        files = tuple(staged_steps(self.gold.table, computed.steps))
        crash_point("before candidate part")
        digest = carry_digest(computed.carry)
        self.candidate.add(Part(span.since, span.until, self._opens(span), len(computed.steps), digest, files))
        crash_point("after candidate part")
        self.spans_done += 1
        if last or time.monotonic() - self._saved_at > SAVE_EVERY_SECONDS:
            save_carry(self.context.lake, self.folder, computed.carry, self.extent.silver_version)
            crash_point("after carry")
            self._saved_at = time.monotonic()

    def report(self, publication: Publication | None, seconds: float) -> BackfillReport:
        """What has been done."""
        return BackfillReport(
            self.view.name, self.candidate.run_id, self.extent.start, self.candidate.reached, self.rows,
            self.candidate.steps, self.spans_done, publication, self.non_finite, seconds,
        )  # fmt: skip
