"""What every registry can do.

A registry numbers the versions of each definition by its kind and name, from 1, and knows which of
them are in force. It keeps documents as text and does not interpret them.
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
