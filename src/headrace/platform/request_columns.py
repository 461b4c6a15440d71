"""What a request brings: the keys of entities and the columns of on-demand features, each with its type.

A request comes as JSON or as a command's text; both are parsed here, once, to Python values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from headrace.definitions.services import FeatureService
from headrace.errors import DefinitionError, UnknownNameError
from headrace.types import DataType

_PLAIN: Final[dict[str, Any]] = {
    "Bool": bool, "String": str, "Binary": bytes, "Date": date, "Decimal": Decimal,
    "Timestamp": Annotated[datetime, msgspec.Meta(tz=True)],
}  # fmt: skip


def key_columns(service: FeatureService) -> dict[str, DataType]:
    """The columns that name a service's entities, each once, in the order in which its views read them."""
    found: dict[str, DataType] = {}
    for chosen in service.read_selections:
        for key, column in chosen.key_columns.items():
            found.setdefault(column, chosen.view.entity_keys[key])
    return found


def request_columns(service: FeatureService) -> dict[str, DataType]:
    """All columns that a request for a service brings: `key_columns`, then what on-demand features ask for."""
    return {**key_columns(service), **service.request}


def check_columns(service: FeatureService, given: Iterable[str], place: str) -> None:
    """Check that a request brings what a service needs, and nothing else.

    Raises
    ------
    UnknownNameError
        If it brings another column; says the nearest right one.
    DefinitionError
        If one is missing.
    """
    needed, found = request_columns(service), list(given)
    for column in found:
        if column not in needed:
            raise UnknownNameError.of("column", column, needed, place)
    missing = [column for column in needed if column not in found]
    if missing:
        raise DefinitionError(
            f"{place}: {', '.join(map(repr, missing))} {'is' if len(missing) == 1 else 'are'} missing. Service "
            f"'{service.name}' needs {', '.join(f'{name} ({dtype})' for name, dtype in needed.items())}."
        )


def python_type(dtype: DataType) -> Any:
    """The type of Python values of a column's type, with bounds, as msgspec checks it; without null.

    A time has a zone. Bytes are base64 and a Decimal is text or a number, where they come as JSON.
    """
    if dtype.is_integer:
        return _whole(dtype.name)
    if dtype.is_float:
        return float
    if dtype.inner is not None:
        return list[python_type(dtype.inner) | None]  # type: ignore[misc]
    return _PLAIN[dtype.name]


def from_texts(service: FeatureService, rows: Iterable[Mapping[str, str]], place: str) -> dict[str, list[Any]]:
    """The columns of a request whose values were given as text, one row an entity; an empty text is null.

    Raises
    ------
    UnknownNameError, DefinitionError
        If a row does not bring the columns that the service needs, or a text is no value of its column.
    """
    needed = request_columns(service)
    columns: dict[str, list[Any]] = {column: [] for column in needed}
    for row in rows:
        check_columns(service, row, place)
        for column, dtype in needed.items():
            columns[column].append(_from_text(row[column], dtype, f"{place}, column '{column}'"))
    return columns


def _from_text(text: str, dtype: DataType, place: str) -> Any:
    if not text:
        return None
    try:
        if dtype.inner is not None:
            return msgspec.json.decode(text, type=python_type(dtype))
        return msgspec.convert(text, python_type(dtype), strict=False)
    except (msgspec.MsgspecError, ValueError):
        raise DefinitionError(f"{place}: '{text}' is no {dtype}.") from None


def _whole(name: str) -> Any:
    unsigned = name.startswith("U")
    bits = int(name.removeprefix("UInt" if unsigned else "Int"))
    if unsigned:  # msgspec bounds no number above 2**63 - 1
        return Annotated[int, msgspec.Meta(ge=0, le=2**bits - 1 if bits < 64 else None)]
    return Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]
