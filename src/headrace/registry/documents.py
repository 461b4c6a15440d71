"""Definitions in a SQL registry: numbered versions, and which of them are in force."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select

from headrace.registry.base import Applied, Entry, Version
from headrace.registry.tables import applications, current, definitions


def all_same(entries: Sequence[Entry], before: Applied) -> bool:
    """Whether definitions are just those in force."""
    known = {(version.entry.kind, version.entry.name): version.entry for version in before.versions}
    return len(known) == len(entries) and all(entry.same_as(known.get((entry.kind, entry.name))) for entry in entries)


def put_in_force(connection: Connection, entries: Sequence[Entry], before: Applied | None, at: int, by: str) -> None:
    """Put exactly these definitions in force."""
    number = 1 if before is None else before.number + 1
    connection.execute(insert(applications).values(number=number, applied_at_us=at, applied_by=by))
    ids = [_id_of(connection, entry, at, by) for entry in entries]
    connection.execute(delete(current))
    rows = [{"kind": e.kind, "name": e.name, "definition_id": i} for e, i in zip(entries, ids, strict=True)]
    if rows:
        connection.execute(insert(current), rows)


def _id_of(connection: Connection, entry: Entry, at: int, by: str) -> int:
    newest = connection.execute(
        select(definitions)
        .where(definitions.c.kind == entry.kind, definitions.c.name == entry.name)
        .order_by(definitions.c.number.desc())
        .limit(1)
    ).first()
    if newest is not None and entry.same_as(_version(newest).entry):
        return int(newest.id)
    row = {
        "kind": entry.kind,
        "name": entry.name,
        "number": 1 if newest is None else newest.number + 1,
        "fingerprint": entry.fingerprint,
        "body": entry.body,
        "applied_at_us": at,
        "applied_by": by,
    }
    return int(connection.execute(insert(definitions).values(row)).inserted_primary_key[0])  # type: ignore[index]


def in_force(connection: Connection) -> Applied | None:
    """The definitions in force."""
    newest = select(applications).where(
        applications.c.number == select(func.max(applications.c.number)).scalar_subquery()
    )
    found = connection.execute(newest).first()
    if found is None:
        return None
    chosen = select(definitions).join(current, current.c.definition_id == definitions.c.id)
    versions = read_versions(connection, chosen.order_by(definitions.c.kind, definitions.c.name))
    return Applied(found.number, found.applied_at_us, found.applied_by, versions)


def read_versions(connection: Connection, query: Select[Any]) -> tuple[Version, ...]:
    """The versions that a query over definitions finds."""
    return tuple(_version(row) for row in connection.execute(query))


def _version(row: Any) -> Version:
    entry = Entry(row.kind, row.name, row.fingerprint, row.body)
    return Version(row.number, entry, row.applied_at_us, row.applied_by)
