"""Leases in a SQL registry: each taking has a greater token than all before."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select, update

from headrace.errors import LeaseLostError
from headrace.registry.base import Lease
from headrace.registry.tables import leases


def lease_named(connection: Connection, name: str) -> Lease | None:
    """A lease as it is; None if nobody has ever taken it."""
    found = connection.execute(select(leases).where(leases.c.name == name)).first()
    return None if found is None else Lease(**found._asdict())


def take(connection: Connection, wanted: Lease, *, at: int, from_holder: str) -> Lease:
    """Take a lease if it is free; see `headrace.registry.base.Registry.take_lease`."""
    found = lease_named(connection, wanted.name)
    if found is None:
        taken = Lease(wanted.name, 1, wanted.holder, wanted.expires_at)
        connection.execute(insert(leases).values(_row(taken)))
        return taken
    if found.expires_at > at and found.holder != from_holder:
        return found
    taken = Lease(wanted.name, found.token + 1, wanted.holder, wanted.expires_at)
    connection.execute(update(leases).where(leases.c.name == wanted.name).values(_row(taken)))
    return taken


def prolong(connection: Connection, lease: Lease, until: int) -> Lease:
    """Change until when a lease runs; raises `LeaseLostError` if another has taken it since."""
    mine = (leases.c.name == lease.name) & (leases.c.token == lease.token)
    if connection.execute(update(leases).where(mine).values(expires_at=until)).rowcount != 1:
        raise LeaseLostError(
            f"lease '{lease.name}': token {lease.token} is no longer the newest, another process has taken over. "
            "Run the same command again."
        )
    return Lease(lease.name, lease.token, lease.holder, until)


def _row(lease: Lease) -> dict[str, Any]:
    return {"name": lease.name, "token": lease.token, "holder": lease.holder, "expires_at": lease.expires_at}
