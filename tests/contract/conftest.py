"""Registries of each kind, for the suites that begin with ``test_registry``."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from headrace.registry.sql import SqlRegistry


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def registry_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the URL of a registry that is not there yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'registry.db'}"
        return
    server = make_url(request.getfixturevalue("postgres_url")).set(drivername="postgresql+psycopg")
    name = f"headrace_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT", connect_args={"client_encoding": "utf8"})
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def open_registry(registry_url: str) -> Iterator[Callable[..., SqlRegistry]]:
    """Return what opens the registry once more."""
    opened: list[SqlRegistry] = []

    def make(busy_seconds: float = 20) -> SqlRegistry:
        opened.append(SqlRegistry(registry_url, busy_seconds=busy_seconds))
        return opened[-1]

    yield make
    for registry in opened:
        registry.close()


@pytest.fixture
def registry(open_registry: Callable[..., SqlRegistry]) -> SqlRegistry:
    """Return the registry."""
    return open_registry()
