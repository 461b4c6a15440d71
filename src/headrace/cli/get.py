"""``headrace get``: the features of some entities, from the online store."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption, named_value

if TYPE_CHECKING:
    from headrace.platform.online_answer import OnlineAnswer

app = command_app()
_NEXT_COLUMN = re.compile(r",(?=\w+=)")


@app.command()
def get(
    service: Annotated[str, typer.Argument(help="The service: which features.")],
    entities: Annotated[
        list[str] | None,
        typer.Argument(
            help="An entity each, as driver_id=7; its further keys and request columns behind commas: zone=9,city=x.",
            metavar="KEY=VALUE",
        ),
    ] = None,
    at: Annotated[str | None, typer.Option(help="When, e.g. 2026-01-05T08:00:00Z; now by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: an object an entity, with statuses.")] = False,
    project: ProjectOption = Path(),
) -> None:
    from headrace.platform import Platform
    from headrace.platform.request_columns import from_texts

    rows = [_entity(text) for text in entities or []]
    platform = Platform.open(project)
    columns = from_texts(platform.definitions.service(service), rows or [{}], f"headrace get {service}")
    answer = platform.online(service, columns, at=at)
    if as_json:
        _print_json(answer)
    else:
        _print_table(service, answer)


def _entity(text: str) -> dict[str, str]:
    pairs = [named_value(part) for part in _NEXT_COLUMN.split(text)]
    if len(dict(pairs)) < len(pairs):
        raise typer.BadParameter(f"'{text}' names a column twice: write an entity each, with a space between.")
    return dict(pairs)


def _print_json(answer: OnlineAnswer) -> None:
    import sys

    import msgspec

    records = [
        {**row, "statuses": statuses} for row, statuses in zip(answer.to_dicts(), answer.status_names(), strict=True)
    ]
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(records)).decode() + "\n")


def _print_table(service: str, answer: OnlineAnswer) -> None:
    """A line a feature: its value for each entity, or why there is none."""
    from headrace.cli.frames import text_of
    from headrace.cli.output import print_records
    from headrace.types import instant_text

    entities = list(zip(_keys(answer), answer.rows, answer.status_names(), strict=True))
    records = []
    for place, name in enumerate(answer.names):
        values = {key: text_of(row[place]) if row[place] is not None else states[name] for key, row, states in entities}
        records.append({"feature": name, **values})
    title = f"{service} at {instant_text(answer.at)}"
    print_records(records if entities else [], title=title, empty="Nobody was asked for.")


def _keys(answer: OnlineAnswer) -> list[str]:
    """Each entity as it was written on the command line."""
    rows = zip(*answer.entities.values(), strict=True) if answer.entities else [()] * len(answer.rows)
    return [
        ",".join(f"{name}={value}" for name, value in zip(answer.entities, row, strict=True)) or "global"
        for row in rows
    ]
