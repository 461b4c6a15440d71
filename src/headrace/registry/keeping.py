"""Holds and pins in a SQL registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, delete, insert, select

from headrace.registry.base import Hold, Pin
from headrace.registry.tables import holds, pins


def hold(connection: Connection, wanted: Hold) -> None:
    """Hold a view, unless it is held already."""
    if connection.execute(select(holds.c.view).where(holds.c.view == wanted.view)).first() is None:
        connection.execute(insert(holds).values(asdict(wanted)))


def release(connection: Connection, view: str) -> Hold | None:
    """End a hold."""
    found = connection.execute(select(holds).where(holds.c.view == view)).first()
    connection.execute(delete(holds).where(holds.c.view == view))
    return None if found is None else Hold(**found._asdict())


def all_holds(connection: Connection) -> dict[str, Hold]:
    """All held views."""
    return {row.view: Hold(**row._asdict()) for row in connection.execute(select(holds).order_by(holds.c.view))}


def pin(connection: Connection, wanted: Sequence[Pin]) -> None:
    """Replace the pins of the owners."""
    for owner in {one.owner for one in wanted}:
        unpin(connection, owner)
    if wanted:
        connection.execute(insert(pins), [asdict(one) for one in dict.fromkeys(wanted)])


def unpin(connection: Connection, owner: str) -> int:
    """Forget an owner's pins."""
    return int(connection.execute(delete(pins).where(pins.c.owner == owner)).rowcount)


def all_pins(connection: Connection) -> tuple[Pin, ...]:
    """All pins, ordered by owner and view."""
    columns = (pins.c.owner, pins.c.view, pins.c.fingerprint, pins.c.table_version, pins.c.pinned_at)
    return tuple(Pin(**row._asdict()) for row in connection.execute(select(*columns).order_by(*columns)))
