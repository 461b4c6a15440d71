"""Numbering what was committed: offline and online together, and what a crash left unfinished first.

The content of a table's version never changes, so a commit that a crash left unregistered is registered
by whoever publishes next, just as its own process would have done.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headrace.errors import LakeError, OnlineStoreError
from headrace.platform.crash_points import crash_point
from headrace.platform.gold import Gold, Segment, definition_notes, segments_of, segments_text
from headrace.platform.holds import check_not_held
from headrace.platform.leases import HeldLease, publishing
from headrace.platform.online_loading import prepared
from headrace.platform.user import user
from headrace.registry.base import Hold, Publication

if TYPE_CHECKING:
    from headrace.lake.base import Commit
    from headrace.platform.context import Context

BACKFILL, ROLLBACK, LAYOUT = "backfill", "rollback", "layout"
_OURS = (BACKFILL, ROLLBACK, LAYOUT)


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to publish a view, and what is published so far.

    Parameters
    ----------
    context : Context
        The project.
    gold : Gold
        The table of the definition that is published, pinned at what was published of it.
    lease : HeldLease
        The lease.
    """

    context: Context
    gold: Gold
    lease: HeldLease

    @property
    def head(self) -> int:
        """The newest version of the table; -1 where there is none."""
        return self.gold.table.version() if self.gold.table.exists() else -1


@contextmanager
def turn(context: Context, gold: Gold) -> Iterator[Turn]:
    """Wait for the right to publish a view; first finish what a crash left unfinished there."""
    with publishing(context.registry, gold.view.name) as lease:
        finish_interrupted(context, gold, lease)
        yield Turn(context, Gold.of(context, gold.view), lease)


def commit_notes(mine: Turn, kind: str, run_id: str, *, segments: list[Segment], **rest: Any) -> dict[str, str]:
    """What a commit to gold says: all that its publication's row needs."""
    notes = {
        **definition_notes(mine.gold.view),
        "kind": kind,
        "run": run_id,
        "segments": segments_text(segments),
        "token": mine.lease.token,
        "generation": _generation(mine, kind),
        "published_at": mine.context.clock(),
        "published_by": user(),
        **rest,
    }
    return {name: str(value) for name, value in notes.items()}


def register(mine: Turn, version: int) -> Publication:
    """Number a committed version, online and offline at once.

    Records are written online first, where nobody sees them yet.
    """
    commit = mine.gold.table.commit_at(version)
    publication = _publication(commit, mine.lease.token)
    serve = _is_served(mine.context, publication)
    shown, failure = _prepared(mine, publication) if serve else (None, None)
    crash_point("before publication")
    mine.lease.check()
    done = mine.context.registry.publish(publication, serve=serve, hold=_hold(commit))
    crash_point("after publication")
    if failure is not None:
        raise OnlineStoreError(
            f"{mine.gold.view.place}: version {done.number} is published and read offline, but not online: {failure} "
            f"When the store is back: headrace materialize {done.view}."
        ) from failure
    if shown is not None:
        shown(done)
    return done


def finish_interrupted(context: Context, gold: Gold, lease: HeldLease) -> None:
    """Register the last commit if a crash came before its registration; put aside what was never audited."""
    _note_loss(context, gold, lease)
    current = Gold.of(context, gold.view)
    if not is_interrupted(current):
        return
    mine = Turn(context, current, lease)
    head = mine.head
    if _is_to_be_registered(mine, head):
        register(mine, head)
    elif current.pinned is not None:
        lease.check()
        notes = layout_notes(mine)
        register(mine, landed(current.table.restore(current.version, metadata=notes, expected_version=head)))
    else:
        check_not_held(context, gold.view.name)
        raise LakeError(
            f"{gold.table.location} was made by another program, and no version of it was audited. Move the folder "
            "away and run the same command again."
        )


def layout_notes(mine: Turn) -> dict[str, str]:
    """What a commit says that holds the rows of what is published in other files, or once more."""
    current = mine.gold.publication
    if current is None:
        raise AssertionError("nothing is published that could be laid out anew")
    return commit_notes(
        mine, LAYOUT, uuid.uuid4().hex[:12], segments=mine.gold.segments(), steps=0, verdict=current.verdict,
        content_of=current.content_of,
    )  # fmt: skip


def landed(version: int | None) -> int:
    """The version that a commit made which names no transaction: only one that does can be skipped."""
    if version is None:
        raise AssertionError("a commit without a transaction is never skipped")
    return version


def _is_to_be_registered(mine: Turn, head: int) -> bool:
    """Whether the newest commit is one that a crash left, and not a stranger's, or a sleeper's who woke too late.

    Of a view that is held, a candidate that was committed is put aside too: its command publishes it again.
    """
    note, current = mine.gold.table.commit_at(head).metadata, mine.gold.publication
    if note.get("kind") not in _OURS or mine.gold.table.missing_files(head):
        return False
    if note["kind"] == BACKFILL and mine.gold.view.name in mine.context.registry.holds():
        return False
    return current is None or int(note["token"]) >= current.token


def is_interrupted(gold: Gold) -> bool:
    """Whether the table has a version that is not published, or not yet; or is gone."""
    if not gold.table.exists():
        return gold.pinned is not None
    return gold.table.version() > (-1 if gold.pinned is None else gold.pinned)


def _note_loss(context: Context, gold: Gold, lease: HeldLease) -> None:
    """Where somebody has taken the table away, so that it is made anew, its versions are gone."""
    found = Gold.of(context, gold.view)
    if found.pinned is not None and not found.table.exists():
        mine = [p.number for p in context.registry.publications(gold.view.name) if p.fingerprint == found.fingerprint]
        context.registry.mark_vacuumed(gold.view.name, mine, token=lease.token)


def _generation(mine: Turn, kind: str) -> int:
    """That of what was published before; a rollback begins another, and a table that was made anew."""
    before = mine.context.registry.publications(mine.gold.view.name)
    newest = max((p.generation for p in before), default=1)
    is_made_anew = mine.gold.pinned is None and any(p.fingerprint == mine.gold.fingerprint for p in before)
    return newest + 1 if is_made_anew or kind == ROLLBACK else newest


def _publication(commit: Commit, token: int) -> Publication:
    """The row of a commit."""
    note = commit.metadata
    return Publication(
        view=note["view"],
        fingerprint=note["definition"],
        table_version=commit.version,
        kind=note["kind"],
        run=note["run"],
        generation=int(note["generation"]),
        frontier=max((s.until for s in segments_of(note)), default=0),
        steps=int(note["steps"]),
        verdict=note["verdict"],
        token=token,
        published_at=int(note["published_at"]),
        published_by=note["published_by"],
        content_of=int(note.get("content_of", 0)),
    )


def _hold(commit: Commit) -> Hold | None:
    """A rollback holds its view: else the next run would bring back what was taken back."""
    note = commit.metadata
    if note["kind"] != ROLLBACK:
        return None
    return Hold(note["view"], note["reason"], int(note["published_at"]), note["published_by"])


def _is_served(context: Context, publication: Publication) -> bool:
    """Whether readers get it: a new definition only once it reaches as far as the old one."""
    serving = context.registry.serving().get(publication.view)
    if serving is None or publication.kind == ROLLBACK or serving.fingerprint == publication.fingerprint:
        return True
    applied = context.registry.current()
    version = None if applied is None else applied.version("view", publication.view)
    is_in_force = version is not None and version.entry.fingerprint == publication.fingerprint
    return is_in_force and publication.frontier >= serving.frontier


def _prepared(
    mine: Turn, publication: Publication
) -> tuple[Callable[[Publication], None] | None, OnlineStoreError | None]:
    """Write records online, not yet seen; a store that is down doesn't keep offline readers waiting."""
    try:
        return prepared(mine.context, mine.gold.at(publication.table_version), publication, mine.lease), None
    except OnlineStoreError as error:
        return None, error
