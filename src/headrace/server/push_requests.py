"""A push as it comes: which source, and its rows with their values as they were written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from headrace.server.errors import RequestError

MOST_ROWS: Final = 10_000
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TARGETS: Final = ("online", "offline", "online_and_offline")

Row = dict[str, msgspec.Raw]


class _Body(msgspec.Struct, frozen=True):
    """The body of ``POST /push``, as of Feast; `partial` and `wait_seconds` are not in Feast.

    Columns and rows are looked at later: their errors name them.
    """

    push_source_name: str
    df: msgspec.Raw
    to: str = "online"
    allow_registry_cache: bool = True
    transform_on_write: bool = True
    partial: bool = False
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PushRequest:
    """Rows to be pushed.

    Parameters
    ----------
    source : str
        The source.
    rows : list of dict
        By column, the JSON of each value.
    partial : bool
        Whether to write the good rows where others are refused.
    wait_seconds : float or None
        How long to wait until they can be read.
    """

    source: str
    rows: list[Row]
    partial: bool = False
    wait_seconds: float | None = None


def parse_push(body: bytes, query: Mapping[str, str], most_rows: int = MOST_ROWS) -> PushRequest:
    """Read a push.

    Parameters
    ----------
    body : bytes
        JSON.
    query : mapping of str to str
        The URL's: ``wait_seconds`` may be there.
    most_rows : int
        How many rows are taken.

    Raises
    ------
    RequestError
        With 400 for what is no JSON, 413 for too many rows, 422 for what is no push.
    """
    found: _Body = _decoded(body, _Body, "the request")
    for name in _decoded(body, dict[str, msgspec.Raw], "the request").keys() - set(_Body.__struct_fields__):
        if near := get_close_matches(name.lower(), _Body.__struct_fields__, n=1, cutoff=0.8):
            raise RequestError(422, f"the request has a member '{name}'. Did you mean '{near[0]}'?")
    _check_target(found.to)
    rows = _rows(bytes(found.df))
    if len(rows) > most_rows:
        raise RequestError(
            413, f"df: there are {len(rows):,} rows, and at most {most_rows:,} are taken at once. Push several times."
        )
    return PushRequest(found.push_source_name, rows, found.partial, _seconds(found.wait_seconds, query))


def _check_target(target: str) -> None:
    if target not in _TARGETS:
        raise RequestError(422, f"to: there is no '{target}'. There are: {', '.join(_TARGETS)}.")
    if target == "offline":
        raise RequestError(
            422,
            "to: rows go into the source's stream, from which the lake and the online store both take them, so that "
            "they say the same. Push to online_and_offline; or put files where the source's batch= is, and ingest.",
        )


def _seconds(member: float | None, query: Mapping[str, str]) -> float | None:
    given: Any = query.get("wait_seconds", member)
    try:
        seconds = None if given is None else float(given)
    except ValueError:
        seconds = math.nan
    if seconds is not None and not 0 <= seconds < math.inf:
        raise RequestError(422, f"wait_seconds: '{given}' is no number of seconds.")
    return seconds


def _rows(df: bytes) -> list[Row]:
    """Rows, or columns turned into rows."""
    if df.lstrip()[:1] == b"[":
        rows: list[Row] = _decoded(df, list[Row], "df")
        return rows
    columns: dict[str, list[msgspec.Raw]] = _decoded(df, dict[str, list[msgspec.Raw]], "df")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise RequestError(422, f"df: the columns have different lengths: {listed}.")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _decoded(data: bytes, kind: Any, what: str) -> Any:
    try:
        return msgspec.json.decode(data.decode(), type=kind)
    except msgspec.ValidationError as error:
        raise RequestError(422, f"{what} is not as it should be: {error}.{_HINT}") from None
    except _BROKEN as error:
        raise RequestError(400, f"the body is no JSON: {error}.") from None


_HINT: Final = ' A push is {"push_source_name": "…", "df": {"column": [value, …], …}}; df may be a list of rows too.'
