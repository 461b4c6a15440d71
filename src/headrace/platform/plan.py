"""What applying the project's definitions would change, and what it would cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headrace.definitions.project import KINDS
from headrace.platform.context import Context
from headrace.platform.entries import entries_of
from headrace.registry.base import Entry

Action = Literal["created", "changed", "removed", "unchanged"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs.

    Parameters
    ----------
    field : str
        Its path in the definition, such as ``features.speed_mean_5m.window.hop``.
    before, after : plain data
        Its values; None where it was left out.
    """

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        """As people read it."""
        return f"{self.field}: {_shown(self.before)} → {_shown(self.after)}"


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a view's new definition costs before it can be read.

    Parameters
    ----------
    partitions : int
        The days of history to compute; 0 where nothing was ingested yet.
    rows : int
        The rows of silver to read.
    size_bytes : int
        Their size on disk.
    """

    partitions: int
    rows: int
    size_bytes: int

    def __str__(self) -> str:
        """As people read it."""
        if not self.rows:
            return "new definition, nothing to backfill yet"
        days = "partition" if self.partitions == 1 else "partitions"
        return f"new definition, {self.partitions:,} {days} to backfill from {self.rows:,} rows of silver"


@dataclass(frozen=True, slots=True)
class Change:
    """What would become of one definition.

    Parameters
    ----------
    kind, name : str
        The definition.
    action : str
        ``created``, ``changed``, ``removed`` or ``unchanged``.
    differences : tuple of Difference
        What differs, for a change.
    backfill : Backfill or None
        For a view whose values may differ: the cost of computing them.
    """

    kind: str
    name: str
    action: Action
    differences: tuple[Difference, ...] = ()
    backfill: Backfill | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes, ordered by `KINDS` and name, the unchanged among them."""

    changes: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """Whether applying would change nothing."""
        return all(change.action == "unchanged" for change in self.changes)

    def of(self, action: Action, kind: str | None = None) -> tuple[Change, ...]:
        """The changes of one action, of one kind or of all."""
        return tuple(c for c in self.changes if c.action == action and kind in (None, c.kind))


def plan(context: Context) -> Plan:
    """Compare the project's definitions with those in force; nothing is changed.

    Raises
    ------
    RegistryError, LakeError
        If the definitions in force, or the statistics of a table, can't be read.
    """
    wanted = {(entry.kind, entry.name): entry for entry in entries_of(context.definitions)}
    applied = context.registry.current()
    versions = applied.versions if applied is not None else ()
    known = {(version.entry.kind, version.entry.name): version.entry for version in versions}
    names = sorted(wanted.keys() | known.keys(), key=lambda key: (KINDS.index(key[0]), key[1]))
    return Plan(tuple(_change(context, known.get(name), wanted.get(name)) for name in names))


def _change(context: Context, before: Entry | None, after: Entry | None) -> Change:
    if after is None:
        assert before is not None
        return Change(before.kind, before.name, "removed")
    if before is None:
        return Change(after.kind, after.name, "created", backfill=_backfill(context, after))
    if after.same_as(before):
        return Change(after.kind, after.name, "unchanged")
    restated = before.fingerprint != after.fingerprint
    cost = _backfill(context, after) if restated else None
    return Change(after.kind, after.name, "changed", _differences(before, after), cost)


def _differences(before: Entry, after: Entry) -> tuple[Difference, ...]:
    found = tuple(_compare("", json.loads(before.body), json.loads(after.body)))
    if found or before.fingerprint == after.fingerprint:
        return found
    # The document is the same, so what differs is the text of a function, or what the definition refers to.
    field = "what it refers to, or the text of its function" if after.kind == "view" else "text"
    return (Difference(field, before.fingerprint, after.fingerprint),)


def _compare(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping) and before.keys() & after.keys():
        for key in [*before, *(key for key in after if key not in before)]:
            yield from _compare(f"{path}.{key}" if path else key, before.get(key), after.get(key))
    elif before != after:
        yield Difference(path, before, after)


def _backfill(context: Context, entry: Entry) -> Backfill | None:
    if entry.kind != "view":
        return None
    silver = context.lake.table("silver", context.definitions.view(entry.name).source.name)
    files = silver.files() if silver.exists() else []
    days = {file.partition["_hr_day"] for file in files}
    return Backfill(len(days), sum(file.rows for file in files), sum(file.size_bytes for file in files))


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)
