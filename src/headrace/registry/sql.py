"""A registry in a SQL database, by SQLAlchemy: SQLite in one file, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Select, delete, insert, inspect, select

from headrace.errors import LeaseLostError, RegistryError
from headrace.registry import keeping, leases, publications
from headrace.registry.base import Applied, Entry, Hold, Lease, Pin, Publication, Version
from headrace.registry.connections import Database
from headrace.registry.documents import all_same, in_force, put_in_force, read_versions
from headrace.registry.tables import SCHEMA_VERSION, definitions, facts, metadata

T = TypeVar("T")
_VERSION: Final = "schema_version"


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
            return in_force(connection) if self._version(connection) else None

    def apply(self, entries: Sequence[Entry], *, at: int, by: str = "") -> Applied:
        """Put exactly these definitions in force; see `headrace.registry.base.Registry.apply`."""
        names = {(entry.kind, entry.name) for entry in entries}
        if len(names) < len(entries):
            raise RegistryError("a kind and name stands twice among the definitions to apply.")
        with self._writing() as connection:
            before = in_force(connection)
            if before is None or not all_same(entries, before):
                put_in_force(connection, entries, before, at, by)
            after = in_force(connection)
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

    def publish(self, publication: Publication, *, serve: bool, hold: Hold | None = None) -> Publication:
        """Number a publication, serve it and hold its view; see `headrace.registry.base.Registry.publish`."""
        with self._writing() as connection:
            publications.check_token(connection, publication.view, publication.token)
            known = publications.of_run(connection, publication.view, publication.run)
            done = known or publications.numbered(connection, publication)
            if serve and done.number >= publications.served_number(connection, done.view):
                publications.serve(connection, done.view, done.number)
                done = replace(done, served=True)
            if hold is not None and known is None:  # whoever released it since did so on purpose
                keeping.hold(connection, hold)
        return done

    def publications(self, view: str) -> tuple[Publication, ...]:
        """All publications of a view, oldest first."""
        return self._read(lambda connection: publications.of_view(connection, view), ())

    def serving(self) -> dict[str, Publication]:
        """For each view that was ever published, the publication that readers get."""
        return self._read(publications.served, {})

    def serve(self, view: str, number: int, *, token: int) -> None:
        """Let readers get another publication of a view."""
        with self._writing() as connection:
            publications.check_token(connection, view, token)
            publications.serve(connection, view, number)

    def mark_vacuumed(self, view: str, numbers: Sequence[int], *, token: int) -> None:
        """Note that the files of some publications are about to go."""
        with self._writing() as connection:
            publications.check_token(connection, view, token)
            publications.mark_vacuumed(connection, view, numbers)

    def take_lease(self, name: str, holder: str, *, at: int, until: int, from_holder: str = "") -> Lease:
        """Take a lease if it is free; see `headrace.registry.base.Registry.take_lease`."""
        with self._writing() as connection:
            return leases.take(connection, Lease(name, 0, holder, until), at=at, from_holder=from_holder)

    def renew_lease(self, lease: Lease, *, until: int) -> Lease:
        """Keep a lease for longer."""
        with self._writing() as connection:
            return leases.prolong(connection, lease, until)

    def give_back_lease(self, lease: Lease) -> None:
        """Free a lease; nothing happens if another has taken it since."""
        with suppress(LeaseLostError), self._writing() as connection:
            leases.prolong(connection, lease, 0)

    def hold(self, hold: Hold) -> None:
        """Hold a view; a hold that is there already stays as it is."""
        with self._writing() as connection:
            keeping.hold(connection, hold)

    def release(self, view: str) -> Hold | None:
        """End a view's hold; None if there was none."""
        with self._writing() as connection:
            return keeping.release(connection, view)

    def holds(self) -> dict[str, Hold]:
        """All held views."""
        return self._read(keeping.all_holds, {})

    def pin(self, pins: Sequence[Pin]) -> None:
        """Keep table versions for an owner; the owner's earlier pins are replaced."""
        with self._writing() as connection:
            keeping.pin(connection, pins)

    def unpin(self, owner: str) -> int:
        """Forget an owner's pins; returns how many there were."""
        with self._writing() as connection:
            return keeping.unpin(connection, owner)

    def pins(self) -> tuple[Pin, ...]:
        """All pins, ordered by owner and view."""
        return self._read(keeping.all_pins, ())

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _versions(self, query: Select[Any]) -> tuple[Version, ...]:
        if self._database.missing:
            return ()
        with self._database.reading() as connection:
            return read_versions(connection, query) if self._version(connection) else ()

    def _read(self, read: Callable[[Connection], T], nothing: T) -> T:
        """What is read of publications; nothing where a registry was made before there were any."""
        if self._database.missing:
            return nothing
        with self._database.reading() as connection:
            return read(connection) if self._version(connection) >= 2 else nothing

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction in a registry that has all tables."""
        self._database.prepare()
        with self._database.writing() as connection:
            found = self._version(connection)
            if found < SCHEMA_VERSION:
                metadata.create_all(connection)
                connection.execute(delete(facts).where(facts.c.name == _VERSION))
                connection.execute(insert(facts).values(name=_VERSION, value=str(SCHEMA_VERSION)))
            yield connection

    def _version(self, connection: Connection) -> int:
        """The version of the registry's tables; 0 where there are none."""
        if not inspect(connection).has_table(facts.name):
            return 0
        found = int(connection.scalar(select(facts.c.value).where(facts.c.name == _VERSION)) or 0)
        if found > SCHEMA_VERSION:
            raise RegistryError(
                f"registry {self.location}: it was written by a newer headrace (its tables have version {found}, this "
                f"headrace knows {SCHEMA_VERSION}). Upgrade: pip install --upgrade headrace."
            )
        return found
