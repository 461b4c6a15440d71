"""A registry in a SQL database, by SQLAlchemy: SQLite in one file, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, inspect, select

from headrace.errors import RegistryError
from headrace.registry.base import Applied, Entry, Version
from headrace.registry.connections import Database
from headrace.registry.tables import SCHEMA_VERSION, applications, current, definitions, facts, metadata


class SqlRegistry:
    """Implements `headrace.registry.base.Registry`.

    Parameters
    ----------
    url : str
        ``sqlite:////absolute/path.db`` or ``postgresql://user@host/name``. The tables are made by
        the first `apply`; reading never creates anything.
    busy_seconds : float
        How long to wait while another process writes.

    Raises
    ------
    RegistryError
        If the URL is malformed, or its driver is not installed.

    Examples
    --------
    >>> registry = SqlRegistry("sqlite://")
    >>> registry.current() is None
    True
    >>> registry.apply([Entry("entity", "driver", "00ff", "{}")], at=5).version("entity", "driver").number
    1
    """

    def __init__(self, url: str, *, busy_seconds: float = 10.0) -> None:
        self._database = Database(url, busy_seconds)

    @property
    def location(self) -> str:
        """Where it is, without a password."""
        return self._database.location

    def current(self) -> Applied | None:
        """The definitions in force; None before the first `apply`."""
        if self._database.missing:
            return None
        with self._database.reading() as connection:
            return _current(connection) if self._has_tables(connection) else None

    def apply(self, entries: Sequence[Entry], *, at: int, by: str = "") -> Applied:
        """Put exactly these definitions in force; see `headrace.registry.base.Registry.apply`."""
        names = {(entry.kind, entry.name) for entry in entries}
        if len(names) < len(entries):
            raise RegistryError("a kind and name stands twice among the definitions to apply.")
        self._database.prepare()
        with self._database.writing() as connection:
            if not self._has_tables(connection):
                metadata.create_all(connection)
                connection.execute(insert(facts).values(name="schema_version", value=str(SCHEMA_VERSION)))
            before = _current(connection)
            if before is None or not _all_same(entries, before):
                _replace(connection, entries, before, at, by)
            after = _current(connection)
        if after is None:
            raise RegistryError(f"registry {self.location}: what was just applied is not there.")
        return after

    def history(self, kind: str, name: str) -> tuple[Version, ...]:
        """All versions of a definition, oldest first."""
        wanted = (definitions.c.kind == kind) & (definitions.c.name == name)
        return self._versions(select(definitions).where(wanted).order_by(definitions.c.number))

    def definition(self, fingerprint: str) -> Version | None:
        """The newest version with a fingerprint."""
        query = select(definitions).where(definitions.c.fingerprint == fingerprint).order_by(definitions.c.id.desc())
        return next(iter(self._versions(query.limit(1))), None)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _versions(self, query: Select[Any]) -> tuple[Version, ...]:
        if self._database.missing:
            return ()
        with self._database.reading() as connection:
            return _read_versions(connection, query) if self._has_tables(connection) else ()

    def _has_tables(self, connection: Connection) -> bool:
        if not inspect(connection).has_table(facts.name):
            return False
        found = connection.scalar(select(facts.c.value).where(facts.c.name == "schema_version"))
        if int(found or 0) > SCHEMA_VERSION:
            raise RegistryError(
                f"registry {self.location}: it was written by a newer headrace (its tables have version {found}, this "
                f"headrace knows {SCHEMA_VERSION}). Upgrade: pip install --upgrade headrace."
            )
        return True


def _all_same(entries: Sequence[Entry], before: Applied) -> bool:
    known = {(version.entry.kind, version.entry.name): version.entry for version in before.versions}
    return len(known) == len(entries) and all(entry.same_as(known.get((entry.kind, entry.name))) for entry in entries)


def _replace(connection: Connection, entries: Sequence[Entry], before: Applied | None, at: int, by: str) -> None:
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


def _current(connection: Connection) -> Applied | None:
    newest = select(applications).where(
        applications.c.number == select(func.max(applications.c.number)).scalar_subquery()
    )
    found = connection.execute(newest).first()
    if found is None:
        return None
    in_force = select(definitions).join(current, current.c.definition_id == definitions.c.id)
    versions = _read_versions(connection, in_force.order_by(definitions.c.kind, definitions.c.name))
    return Applied(found.number, found.applied_at_us, found.applied_by, versions)


def _read_versions(connection: Connection, query: Select[Any]) -> tuple[Version, ...]:
    return tuple(_version(row) for row in connection.execute(query))


def _version(row: Any) -> Version:
    entry = Entry(row.kind, row.name, row.fingerprint, row.body)
    return Version(row.number, entry, row.applied_at_us, row.applied_by)
