"""What every registry can do.

A registry numbers the versions of each definition by its kind and name, from 1, and knows which of
them are in force. It numbers the publications of each view, and knows which one is served. It keeps
documents as text and does not interpret them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """A definition as it is registered.

    Parameters
    ----------
    kind : str
        ``entity``, ``source``, ``view``, ``on_demand`` or ``service``.
    name : str
        Its name, unique in its kind.
    fingerprint : str
        Equal where the definition gives equal values.
    body : str
        The definition as a JSON document.
    """

    kind: str
    name: str
    fingerprint: str
    body: str

    def same_as(self, other: Entry | None) -> bool:
        """Whether registering one after the other changes nothing; the order of names in a body is no change."""
        return (
            other is not None
            and self.fingerprint == other.fingerprint
            and json.loads(self.body) == json.loads(other.body)
        )


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a definition.

    Parameters
    ----------
    number : int
        Counts the versions of a kind and name, from 1.
    entry : Entry
        The definition.
    applied_at : int
        When it was applied, in microseconds UTC.
    applied_by : str
        Who applied it.
    """

    number: int
    entry: Entry
    applied_at: int
    applied_by: str


@dataclass(frozen=True, slots=True)
class Applied:
    """The definitions in force.

    Parameters
    ----------
    number : int
        Counts the times that something was changed, from 1.
    at : int
        When they came in force, in microseconds UTC.
    by : str
        Who applied them.
    versions : tuple of Version
        One for each kind and name, ordered by them.
    """

    number: int
    at: int
    by: str
    versions: tuple[Version, ...]

    def version(self, kind: str, name: str) -> Version | None:
        """The version in force of one definition."""
        return next((v for v in self.versions if (v.entry.kind, v.entry.name) == (kind, name)), None)


@dataclass(frozen=True, slots=True)
class Publication:
    """One published content of a view.

    Parameters
    ----------
    view : str
        The view.
    fingerprint : str
        That of the definition that made it: names the gold table and the online namespace.
    table_version : int
        The version of that gold table.
    kind : str
        ``backfill``, ``rollback`` or ``layout`` (the same rows in other files).
    run : str
        The run that made it; no two publications have the same.
    generation : int
        Raised by each rollback, and where a table is made anew; with `table_version` it orders what is
        written online.
    frontier : int
        Through when its steps are computed, in microseconds.
    steps : int
        How many steps it wrote.
    verdict : str
        What its audit found, as a JSON document.
    token : int
        The fencing token under which it was published.
    published_at : int
        When, in microseconds UTC.
    published_by : str
        Who did it.
    number : int
        Counts the publications of the view, from 1; given by `publish`.
    content_of : int
        The number of the publication with the same rows, for a rollback or a new layout; else `number`.
    vacuumed : bool
        Whether its files are gone.
    served : bool
        Whether readers ever got it: a new definition is published before it reaches as far as the old one.
    """

    view: str
    fingerprint: str
    table_version: int
    kind: str
    run: str
    generation: int
    frontier: int
    steps: int
    verdict: str
    token: int
    published_at: int
    published_by: str
    number: int = 0
    content_of: int = 0
    vacuumed: bool = False
    served: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to publish a view, for a while.

    Parameters
    ----------
    name : str
        What it is for.
    token : int
        Grows with each taking of the lease: the fencing token.
    holder : str
        Who holds it: ``host:pid:start of the process``.
    expires_at : int
        Until when, in microseconds UTC; 0 for one that was given back.
    """

    name: str
    token: int
    holder: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A view for which nothing is published until it is released.

    Parameters
    ----------
    view, reason : str
        The view, and why.
    held_at : int
        Since when, in microseconds UTC.
    held_by : str
        By whom.
    """

    view: str
    reason: str
    held_at: int
    held_by: str


@dataclass(frozen=True, slots=True)
class Pin:
    """A table version that something beside the registry depends on, such as a training set's manifest.

    Parameters
    ----------
    owner : str
        What depends on it: a manifest's absolute path.
    view, fingerprint : str
        The view and its definition.
    table_version : int
        The version of its gold table.
    pinned_at : int
        Since when, in microseconds UTC.
    """

    owner: str
    view: str
    fingerprint: str
    table_version: int
    pinned_at: int


class Registry(Protocol):
    """Where definitions are registered. Every method may raise `RegistryError`."""

    @property
    def location(self) -> str:
        """Where it is, for people: without a password."""

    def current(self) -> Applied | None:
        """The definitions in force; None before the first `apply`."""

    def apply(self, entries: Sequence[Entry], *, at: int, by: str = "") -> Applied:
        """Put exactly these definitions in force, all or none of them.

        What did not change keeps its version, and where nothing changed nothing is written. What is
        missing from `entries` is in force no longer; its versions remain in the history. Of two
        processes that apply at once, one is after the other.

        Parameters
        ----------
        entries : sequence of Entry
            All definitions, each kind and name once.
        at : int
            Now, in microseconds UTC.
        by : str
            Who applies.
        """

    def history(self, kind: str, name: str) -> tuple[Version, ...]:
        """All versions of a definition, oldest first."""

    def definition(self, fingerprint: str) -> Version | None:
        """The newest version with a fingerprint."""

    def publish(self, publication: Publication, *, serve: bool, hold: Hold | None = None) -> Publication:
        """Number a publication and, in the same transaction, serve it and hold its view.

        A publication of the same run that is there already is returned as it is: whoever finishes an
        interrupted publication does no harm.

        Parameters
        ----------
        publication : Publication
            Without its number; `content_of` 0 stands for that number.
        serve : bool
            Whether readers get it from now on.
        hold : Hold, optional
            Hold the view from now on.

        Raises
        ------
        LeaseLostError
            If the lease ``publish-{view}`` was taken by another since `token` was given.
        """

    def publications(self, view: str) -> tuple[Publication, ...]:
        """All publications of a view, oldest first."""

    def serving(self) -> dict[str, Publication]:
        """For each view that was ever published, the publication that readers get."""

    def serve(self, view: str, number: int, *, token: int) -> None:
        """Let readers get another publication of a view; raises `LeaseLostError` as `publish` does."""

    def mark_vacuumed(self, view: str, numbers: Sequence[int], *, token: int) -> None:
        """Note that the files of some publications are about to go; raises `LeaseLostError` as `publish` does."""

    def take_lease(self, name: str, holder: str, *, at: int, until: int, from_holder: str = "") -> Lease:
        """Take a lease if it is free, expired at `at`, or held by `from_holder` (who is known to be dead).

        Returns
        -------
        Lease
            With `holder` as its holder and a new token if it was taken; else as it is, the other's.
        """

    def renew_lease(self, lease: Lease, *, until: int) -> Lease:
        """Keep a lease for longer; raises `LeaseLostError` if another has taken it since."""

    def give_back_lease(self, lease: Lease) -> None:
        """Free a lease; nothing happens if another has taken it since."""

    def hold(self, hold: Hold) -> None:
        """Hold a view; a hold that is there already stays as it is."""

    def release(self, view: str) -> Hold | None:
        """End a view's hold; None if there was none."""

    def holds(self) -> dict[str, Hold]:
        """All held views."""

    def pin(self, pins: Sequence[Pin]) -> None:
        """Keep table versions for an owner; the owner's earlier pins are replaced."""

    def unpin(self, owner: str) -> int:
        """Forget an owner's pins; returns how many there were."""

    def pins(self) -> tuple[Pin, ...]:
        """All pins, ordered by owner and view."""
