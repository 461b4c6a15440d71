"""What goes wrong in the middle of a write leaves every registry as it was; an older one gains what it lacks."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text

from headrace.errors import LeaseLostError, RegistryError
from headrace.registry.base import Applied
from headrace.registry.sql import SqlRegistry
from tests.contract.registries import DRIVER, HELD, VIEW, everything, pin, publication, started, taken

NEW_IN_VERSION_2 = ("serving", "publications", "leases", "holds", "pins")


@contextmanager
def halfway(url: str, token: int) -> Iterator[None]:
    """While the block runs another process has half published something; then it is killed."""
    with started(url, "halfway", str(token)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "halfway\n"
        try:
            yield
        finally:
            process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


def test_a_process_that_is_killed_in_the_middle_leaves_nothing_half_done(
    registry_url: str, registry: SqlRegistry
) -> None:
    token = taken(registry).token
    registry.publish(publication("r1", token), serve=True)
    before = everything(registry)
    with halfway(registry_url, token):
        assert everything(registry) == before
    assert everything(registry) == before
    assert registry.publish(publication("halfway", token), serve=True).number == 2


def test_a_registry_that_another_process_keeps_locked_says_so_and_stays_as_it_was(
    registry_url: str, registry: SqlRegistry, open_registry: Callable[..., SqlRegistry]
) -> None:
    token = taken(registry).token
    before = everything(registry)
    hasty = open_registry(busy_seconds=0.1)
    with halfway(registry_url, token):
        for attempt in (
            lambda: hasty.publish(publication("r1", token), serve=True),
            lambda: hasty.take_lease("publish-city_wait", "bob", at=1, until=2),
            lambda: hasty.hold(HELD),
            lambda: hasty.pin([pin("/a", 1)]),
        ):
            with pytest.raises(RegistryError, match=r"another process has been writing for 0.1 s. Try again"):
                attempt()
    assert everything(registry) == before
    assert hasty.publish(publication("r1", token), serve=True).number == 1


@pytest.mark.postgres
@pytest.mark.parametrize("moment", ["INSERT INTO headrace_serving", "INSERT INTO headrace_holds", "COMMIT"])
@pytest.mark.parametrize("registry_url", ["postgresql"], indirect=True)
def test_a_connection_that_is_lost_in_the_middle_leaves_nothing_half_done(
    registry_url: str, registry: SqlRegistry, moment: str
) -> None:
    token = taken(registry).token
    before = everything(registry)
    engine = registry._database._engine
    others = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                  "AND datname = current_database()")  # fmt: skip

    def cut() -> None:
        killer = create_engine(registry_url)
        with killer.begin() as connection:
            assert connection.scalars(others).all() == [True]
        killer.dispose()

    def at_statement(*arguments: Any) -> None:
        if arguments[2].startswith(moment):
            cut()

    def at_commit(_: Any) -> None:
        cut()

    which, listener = ("commit", at_commit) if moment == "COMMIT" else ("before_cursor_execute", at_statement)
    event.listen(engine, which, listener)
    with pytest.raises(RegistryError, match=r"registry postgresql.*check that it can be reached"):
        registry.publish(publication("r1", token), serve=True, hold=HELD)
    event.remove(engine, which, listener)
    assert everything(registry) == before
    assert registry.publish(publication("r1", token), serve=True, hold=HELD).number == 1
    assert registry.holds() == {VIEW: HELD}


@pytest.fixture
def of_version_1(registry_url: str, registry: SqlRegistry) -> Applied:
    """Make a registry as it was before there were publications."""
    applied = registry.apply([DRIVER], at=1, by="ada")
    engine = create_engine(registry_url)
    with engine.begin() as connection:
        for name in NEW_IN_VERSION_2:
            connection.execute(text(f"DROP TABLE headrace_{name}"))
        connection.execute(text("UPDATE headrace_registry SET value = '1'"))
    engine.dispose()
    return applied


def test_an_older_registry_has_no_publications_and_reading_leaves_it_so(
    registry_url: str, registry: SqlRegistry, of_version_1: Applied
) -> None:
    assert everything(registry) == ((), {}, {}, (), of_version_1)
    engine = create_engine(registry_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT value FROM headrace_registry")) == "1"
    engine.dispose()


def test_an_older_registry_gains_what_it_lacks_with_the_first_write(
    registry: SqlRegistry, of_version_1: Applied
) -> None:
    done = registry.publish(publication("r1", taken(registry).token), serve=True)
    assert everything(registry) == ((done,), {VIEW: done}, {}, (), of_version_1)
    assert registry.apply([DRIVER], at=2) == of_version_1


def test_a_write_that_fails_does_not_change_an_older_registry(
    registry_url: str, registry: SqlRegistry, of_version_1: Applied
) -> None:
    with pytest.raises(LeaseLostError):
        registry.publish(publication("r1", 1), serve=True)
    engine = create_engine(registry_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT value FROM headrace_registry")) == "1"
        assert not engine.dialect.has_table(connection, "headrace_publications")
    engine.dispose()
