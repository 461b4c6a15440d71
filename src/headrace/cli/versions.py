"""``headrace versions``: what was published of a view, what is served, and what an audit rejected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption
from headrace.types import instant_text

if TYPE_CHECKING:
    from headrace.platform.auditing import Audited
    from headrace.platform.versions import Versions
    from headrace.registry.base import Publication

app = command_app()


@app.command()
def versions(
    view: Annotated[str, typer.Argument(help="The view.")],
    project: ProjectOption = Path(),
) -> None:
    from headrace.cli.output import print_records
    from headrace.platform import Platform

    found = Platform.open(project).versions(view)
    records = [_record(publication, found) for publication in found.publications]
    print_records(records, title=f"Versions of {view}", empty=f"{view} was never published: headrace backfill {view}")
    if found.hold is not None:
        by = f" by {found.hold.held_by}" if found.hold.held_by else ""
        typer.echo(f"\nHeld since {instant_text(found.hold.held_at)}{by}: {found.hold.reason}")
        typer.echo(f"Nothing is published until: headrace release {view}")
    if found.rejected:
        print_records(map(_rejected_record, found.rejected), title=f"\nRejected; see headrace check {view}", empty="")


def _record(publication: Publication, found: Versions) -> dict[str, object]:
    copied = publication.content_of not in (0, publication.number)
    return {
        "version": publication.number,
        "published": _minute(publication.published_at),
        "by": publication.published_by or None,
        "kind": publication.kind,
        "of": publication.content_of if copied else None,
        "steps": publication.steps,
        "frontier": _minute(publication.frontier),
        "audit": _audit(publication.verdict),
        "": ", ".join(_marks(publication, found)),
    }


def _minute(instant: int) -> str:
    """An instant to the minute; a midnight is its date."""
    text = instant_text(instant)
    return text.removesuffix("T00:00:00Z") if text.endswith("T00:00:00Z") else text[:16].replace("T", " ")


def _audit(verdict: str) -> str | None:
    """What the audit of a publication found, in a word; None where it had no checks."""
    import json

    plain = json.loads(verdict) if verdict else {}
    if not plain.get("checks"):
        return None
    findings = len(plain["findings"])
    return f"passed, {findings} finding{'s' * (findings > 1)}" if findings else "passed"


def _marks(publication: Publication, found: Versions) -> list[str]:
    serving = publication.number == found.serving
    marks = {"serving": serving, "held": serving and found.hold is not None, "vacuumed": publication.vacuumed}
    return [mark for mark, holds in marks.items() if holds]


def _rejected_record(audited: Audited) -> dict[str, object]:
    return {
        "run": audited.run_id,
        "audited": instant_text(audited.at),
        "from": instant_text(audited.since),
        "through": instant_text(audited.until),
        "steps": audited.verdict.steps,
        "findings": len(audited.verdict.failures),
    }
