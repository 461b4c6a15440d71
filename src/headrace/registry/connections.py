"""Connections to SQLite and PostgreSQL: transactions that really are, and errors that help."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from headrace.errors import RegistryError

_LOCK_NUMBER = 0x68656164  # "head": any number that other applications of the database are unlikely to take


class Database:
    """A database that holds a registry.

    Parameters
    ----------
    url : str
        A SQLAlchemy URL: ``sqlite:////absolute/path.db`` or ``postgresql://user@host/name``.
    busy_seconds : float
        How long to wait while another process writes.
    """

    def __init__(self, url: str, busy_seconds: float = 10.0) -> None:
        self.url = _parsed(url)
        self.location = self.url.render_as_string(hide_password=True)
        self._busy_seconds = busy_seconds
        self._engine = self._make_engine()

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database."""
        is_file = self.url.get_backend_name() == "sqlite" and self.url.database not in (None, "", ":memory:")
        return Path(self.url.database or "") if is_file else None

    @property
    def missing(self) -> bool:
        """Whether nothing was ever written there: reading must not create a file."""
        return self.file is not None and not self.file.exists()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._errors(), self._engine.connect() as plain:
            # There, each statement would see a state of its own; SQLite's transactions see one anyway.
            is_postgres = self.url.get_backend_name() == "postgresql"
            connection = plain.execution_options(isolation_level="REPEATABLE READ") if is_postgres else plain
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that no other one runs beside; all of it is committed, or nothing."""
        with self._errors(), self._engine.connect() as plain:
            connection = plain.execution_options(headrace_writes=True)
            with connection.begin():
                if self.url.get_backend_name() == "postgresql":
                    connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})
                yield connection

    def prepare(self) -> None:
        """Let readers of a new SQLite file go on while another process writes.

        The mode stays in the file; it can't be set inside of a transaction.
        """
        if self.missing:
            with self._errors(), self._engine.connect() as connection:
                _set_mode(connection.connection.cursor(), time.monotonic() + self._busy_seconds)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _make_engine(self) -> Engine:
        try:
            if self.url.get_backend_name() != "sqlite":
                options = f"-c lock_timeout={int(self._busy_seconds * 1000)}"
                arguments: dict[str, Any] = {"connect_timeout": 10, "options": options, "client_encoding": "utf8"}
                return create_engine(self.url, pool_pre_ping=True, connect_args=arguments)
            engine = create_engine(self.url, connect_args={"timeout": self._busy_seconds})
        except ModuleNotFoundError as error:
            raise RegistryError(
                f"registry {self.location}: the driver '{error.name}' is missing: pip install 'headrace[postgres]'."
            ) from error
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as error:
            message = str(getattr(error, "orig", error))
            raise RegistryError(f"registry {self.location}: {self._explained(message)}") from error

    def _explained(self, message: str) -> str:
        busy = f"another process has been writing for {self._busy_seconds:g} s. Try again, or end it."
        hints = {
            "database is locked": busy,
            "lock timeout": busy,
            "not a database": "the file is no SQLite database. Restore it from a copy, or name another file.",
            "malformed": "the file is damaged. Restore it from a copy.",
            "readonly": "the file can't be written. Check its permissions and its folder's.",
            "unable to open": f"the file can't be opened. Check that the folder {self._folder} exists, "
            "and its permissions.",
            "disk is full": "the disk is full. Make room and try again: nothing was changed.",
        }
        hint = next((hint for part, hint in hints.items() if part in message), "check that it can be reached.")
        return f"{message.strip()}: {hint}"

    @property
    def _folder(self) -> Path | str:
        return self.file.parent if self.file else "of the file"


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise RegistryError(f"registry: the URL can't be read ({error}): write sqlite:///registry.db.") from None
    if backend == "postgres":
        parsed = parsed.set(drivername="postgresql")
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise RegistryError(f"registry: '{backend}' is not supported: take sqlite:/// or postgresql://.")
    return parsed


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # Without this the driver begins transactions by itself, and only before the first write.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")


def _set_mode(cursor: Any, until: float) -> None:
    # While others write the file's first rows, SQLite refuses at once instead of waiting as it is told to.
    done = False
    while not done:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            done = True
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() >= until:
                raise
            time.sleep(0.01)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("headrace_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
