"""``headrace keys``: make, show, end and replace the API keys of a server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from headrace.cli.commands import command_app
from headrace.cli.options import ProjectOption

app = command_app()


class RightName(StrEnum):
    """What a key may do. Typer takes no list of literals."""

    READ = "read"
    PUSH = "push"
    MATERIALIZE = "materialize"
    ADMIN = "admin"


ExpiresOption = Annotated[
    str | None, typer.Option("--expires", help="How long it is valid, e.g. 90d; for ever by default.")
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The key's id, of `headrace keys list`.")]


@app.command(help="Make a key, and print it this once: what is kept of it can't be turned back into it.")
def new(
    right: Annotated[
        list[RightName] | None, typer.Option("--right", help="What its holder may do; read by default.")
    ] = None,
    service: Annotated[
        list[str] | None, typer.Option("--service", help="A service that it may read; all by default.")
    ] = None,
    expires: ExpiresOption = None,
    note: Annotated[str, typer.Option("--note", help="Whose it is, or what for.")] = "",
    project: ProjectOption = Path(),
) -> None:
    from headrace.server.security.keys_file import new_key

    if service:
        _check_services(project, service)
    file = _keys_file(project)
    is_first = not file.exists()
    key, secret = new_key(
        file,
        _now(),
        rights=[each.value for each in right or [RightName.READ]],
        services=service or None,
        lasts_us=_lasts(expires),
        note=note,
    )
    _print_once(key.id, secret)
    if is_first:
        typer.echo(f"{file} is the first key's: from now on nobody is answered without one.", err=True)


@app.command("list", help="Show what the keys are for, and whether they are valid.")
def list_keys(project: ProjectOption = Path()) -> None:
    from headrace.cli.output import print_records
    from headrace.server.security.keys import described
    from headrace.server.security.keys_file import read_keys

    file, now = _keys_file(project), _now()
    rows = [described(key, now) for key in read_keys(file)]
    print_records(rows, title="Keys", empty="There are no keys. Make one: headrace keys new")


@app.command(help="End a key: servers that run refuse it a second later.")
def revoke(key_id: IdArgument, project: ProjectOption = Path()) -> None:
    from headrace.server.security.keys_file import revoke_key

    key = revoke_key(_keys_file(project), key_id, _now())
    typer.echo(f"The key {key.id} is revoked since {key.revoked_at}.")


@app.command(help="Make a key that takes another's place; both are valid for a while.")
def rotate(
    key_id: IdArgument,
    overlap: Annotated[str, typer.Option("--overlap", help="How long the old one stays valid.")] = "1d",
    expires: ExpiresOption = None,
    project: ProjectOption = Path(),
) -> None:
    from headrace.server.security.keys_file import rotate_key
    from headrace.types import duration

    file = _keys_file(project)
    key, secret = rotate_key(file, key_id, _now(), duration(overlap), _lasts(expires))
    _print_once(key.id, secret)
    typer.echo(f"The old one ends {overlap} from now, or when it would have.", err=True)


def _keys_file(project: Path) -> Path:
    """Where keys are kept. What else the server's settings say is not looked at."""
    import os

    from headrace.platform.settings import FILE_NAME, read_settings
    from headrace.server.security.settings import PREFIX, security_settings

    table = {name: value for name, value in read_settings(project, os.environ).serve.items() if name == "keys"}
    variables = {name: value for name, value in os.environ.items() if name == f"{PREFIX}KEYS"}
    return security_settings(table, variables, str(project / FILE_NAME)).keys_file(project)


def _check_services(project: Path, services: list[str]) -> None:
    from headrace.errors import UnknownNameError
    from headrace.platform import Platform

    known = Platform.open(project).definitions.services
    for service in services:
        if service not in known:
            raise UnknownNameError.of("service", service, known, "--service")


def _lasts(expires: str | None) -> int | None:
    from headrace.types import duration

    return None if expires is None else duration(expires)


def _now() -> int:
    import time

    return time.time_ns() // 1_000


def _print_once(key_id: str, secret: str) -> None:
    """The key alone on stdout, so that it can be sent on to a store of secrets; words on stderr."""
    typer.echo(secret)
    typer.echo(f"This is the key {key_id}. It is not shown again: keep it where secrets are kept.", err=True)
