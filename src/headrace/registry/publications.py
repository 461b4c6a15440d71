"""Publications in a SQL registry: numbered, served, and fenced by their lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from headrace.errors import LeaseLostError, RegistryError
from headrace.registry.base import Publication
from headrace.registry.leases import lease_named
from headrace.registry.tables import publications, serving


def of_run(connection: Connection, view: str, run: str) -> Publication | None:
    """What a run has published; None if it has not."""
    mine = (publications.c.view == view) & (publications.c.run == run)
    found = connection.execute(select(publications).where(mine)).first()
    return None if found is None else _publication(found)


def numbered(connection: Connection, publication: Publication) -> Publication:
    """Add a publication under the view's next number."""
    last = select(func.max(publications.c.number)).where(publications.c.view == publication.view)
    number = int(connection.scalar(last) or 0) + 1
    kept = replace(publication, number=number, content_of=publication.content_of or number)
    connection.execute(insert(publications).values(asdict(kept)))
    return kept


def of_view(connection: Connection, view: str) -> tuple[Publication, ...]:
    """All publications of a view, oldest first."""
    query = select(publications).where(publications.c.view == view).order_by(publications.c.number)
    return tuple(_publication(row) for row in connection.execute(query))


def served(connection: Connection) -> dict[str, Publication]:
    """For each view, what readers get."""
    same = (publications.c.view == serving.c.view) & (publications.c.number == serving.c.number)
    query = select(publications).join(serving, same).order_by(publications.c.view)
    return {row.view: _publication(row) for row in connection.execute(query)}


def served_number(connection: Connection, view: str) -> int:
    """The number of what readers of a view get; 0 for nothing."""
    return int(connection.scalar(select(serving.c.number).where(serving.c.view == view)) or 0)


def serve(connection: Connection, view: str, number: int) -> None:
    """Let readers get a publication."""
    known = (publications.c.view == view) & (publications.c.number == number)
    found = connection.execute(select(publications.c.vacuumed).where(known)).first()
    if found is None or found.vacuumed:
        state = "has no version" if found is None else "has no longer the files of version"
        raise RegistryError(f"view '{view}' {state} {number}. See which there are: headrace versions {view}.")
    connection.execute(update(publications).where(known).values(served=True))
    connection.execute(delete(serving).where(serving.c.view == view))
    connection.execute(insert(serving).values(view=view, number=number))


def mark_vacuumed(connection: Connection, view: str, numbers: Sequence[int]) -> None:
    """Note that the files of some publications are about to go."""
    chosen = (publications.c.view == view) & publications.c.number.in_(list(numbers))
    connection.execute(update(publications).where(chosen).values(vacuumed=True))


def check_token(connection: Connection, view: str, token: int) -> None:
    """Refuse a writer whose lease another has taken since.

    Raises
    ------
    LeaseLostError
        With both tokens.
    """
    found = lease_named(connection, f"publish-{view}")
    if found is None or found.token != token:
        other = "nobody" if found is None else f"{found.holder} (token {found.token})"
        raise LeaseLostError(
            f"view '{view}': this process published under token {token}, and the right to publish is with {other} "
            "now. Nothing was registered. Run the same command again."
        )


def _publication(row: Any) -> Publication:
    return Publication(**row._asdict())
