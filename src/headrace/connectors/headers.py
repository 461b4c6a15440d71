"""The columns that a file has against those that its source declares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from headrace.definitions.names import SYSTEM_PREFIX
from headrace.definitions.sources import Source
from headrace.errors import SchemaChangedError, SourceError


def check_columns(source: Source, path: Path, columns: Sequence[str]) -> None:
    """Refuse a file that lacks a declared column, or has one that can't be kept.

    Raises
    ------
    SchemaChangedError
        If a column was dropped or renamed; or added, where the source says ``stop``.
    SourceError
        If a name comes twice, is empty, or is headrace's own.
    """
    if twice := sorted({name for name in columns if columns.count(name) > 1}):
        raise SourceError(f"{path}: column {', '.join(map(repr, twice))} comes twice. Rename one of them.")
    if own := [name for name in columns if name.startswith(SYSTEM_PREFIX) or not name]:
        raise SourceError(f"{path}: a column is named '{own[0]}'; it needs a name that does not begin with _hr_.")
    if missing := [name for name in source.schema if name not in columns]:
        raise _dropped(source, path, missing, columns)
    added = [name for name in columns if name not in source.schema]
    if added and source.on_added_column == "stop":
        raise added_column_error(source, str(path), added)


def added_column_error(source: Source, place: str, added: Iterable[str]) -> SchemaChangedError:
    """The error for columns that are not declared, where the source says ``stop``."""
    return SchemaChangedError(
        f"{place}: column {', '.join(map(repr, added))} is not declared by {source.where}, which says "
        "on_added_column='stop'. Declare it, or say 'evolve' or 'quarantine'. Nothing was published."
    )


def _dropped(source: Source, path: Path, missing: list[str], columns: Sequence[str]) -> SchemaChangedError:
    unknown = [name for name in columns if name not in source.schema]
    near = get_close_matches(missing[0], unknown, n=1, cutoff=0.5)
    hint = f" Is it '{near[0]}' now?" if near else ""
    return SchemaChangedError(
        f"{path}: column {', '.join(map(repr, missing))} is missing, which {source.where} declares.{hint} "
        f"The file has: {', '.join(columns)}. Restore it upstream, or change the schema. Nothing was published."
    )
