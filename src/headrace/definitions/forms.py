"""How a value of a definition is written as plain data, and read back: a pair of functions each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import date, datetime
from typing import Any

from headrace.definitions.place import Place, flag_at, list_at, mapping_at, number_at, text_at, whole_at
from headrace.errors import DefinitionError
from headrace.types import BEGINNING, duration, duration_text, instant, instant_text, parse_type


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of value looks in a document.

    Parameters
    ----------
    write : callable
        From the value to plain data (text, numbers, true and false, lists, mappings).
    read : callable
        From plain data and its place to the value; raises `DefinitionError` there.
    """

    write: Callable[[Any], Any]
    read: Callable[[Any, Place], Any]


def _same(value: Any) -> Any:
    return value


def _read_length(value: Any, place: Place) -> int:
    if not isinstance(value, str):
        raise place.error(f"expected a length of time such as '30s' or '5m', found {value!r}.")
    with place.named():
        return duration(value)


def _read_instant(value: Any, place: Place) -> int:
    if value == "beginning":
        return BEGINNING
    if isinstance(value, bool | int | float) or not isinstance(value, str | date):
        raise place.error(f"expected a time such as 2026-01-05T08:30:00Z, found {value!r}.")
    with place.named():
        return instant(value)


def _read_type(value: Any, place: Place) -> Any:
    with place.named():
        return parse_type(text_at(value, place))


def _write_scalar(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    return {"date": value.isoformat()} if isinstance(value, date) else value


def _read_scalar(value: Any, place: Place) -> Any:
    if value is None or isinstance(value, str | int | float | date):
        return value
    tag, text = next(iter(mapping_at(value, place).items()), ("", ""))
    parse = {"time": datetime.fromisoformat, "date": date.fromisoformat}.get(tag)
    if parse is None or len(value) != 1:
        raise place.error(f"expected one value, found {value!r}.")
    try:
        return parse(text_at(text, place))
    except ValueError:
        raise place.error(f"'{text}' is no {tag}.") from None


def _write_columns(value: tuple[str, ...]) -> Any:
    return value[0] if len(value) == 1 else list(value) or None


def _read_columns(value: Any, place: Place) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(LIST_OF_TEXT.read(value, place))


def list_of(form: Form) -> Form:
    """A list of values of one form."""
    return Form(
        lambda values: [form.write(value) for value in values],
        lambda values, place: [form.read(value, place / i) for i, value in enumerate(list_at(values, place))],
    )


def mapping_of(form: Form) -> Form:
    """A mapping of names to values of one form, in order."""
    return Form(
        lambda values: {name: form.write(value) for name, value in values.items()},
        lambda values, place: {
            name: form.read(value, place / name) for name, value in mapping_at(values, place).items()
        },
    )


def reference_to(what: str, found: Mapping[str, Any], *, or_none: bool = False) -> Form:
    """Another definition, by its name among those `found` before; or none, where that may be."""

    def read(value: Any, place: Place) -> Any:
        if value is None and or_none:
            return None
        name = text_at(value, place)
        if name not in found:
            raise place.unknown(what, name, found)
        return found[name]

    return Form(lambda item: item.name, read)


TEXT = Form(_same, text_at)
FLAG = Form(_same, flag_at)
NUMBER = Form(_same, number_at)
WHOLE = Form(_same, whole_at)
SCALAR = Form(_write_scalar, _read_scalar)
LENGTH = Form(lambda value: duration_text(duration(value)), _read_length)
INSTANT = Form(instant_text, _read_instant)
TYPE = Form(str, _read_type)
COLUMNS = Form(_write_columns, _read_columns)
LIST_OF_TEXT = list_of(TEXT)


def _written(form: Form, value: Any) -> Any:
    return None if value is None else form.write(value)


def _default(field: Field[Any], form: Form) -> Any:
    if field.default_factory is not MISSING:
        return form.write(field.default_factory())
    return MISSING if field.default is MISSING else _written(form, field.default)


def write_fields(item: Any, forms: Mapping[str, Form]) -> dict[str, Any]:
    """The fields of a definition that differ from their defaults, by name."""
    by_name = {field.name: field for field in fields(item)}
    values = {name: _written(form, getattr(item, name)) for name, form in forms.items()}
    return {name: value for name, value in values.items() if value != _default(by_name[name], forms[name])}


def read_fields(value: Any, place: Place, cls: type[Any], forms: Mapping[str, Form]) -> dict[str, Any]:
    """The arguments of `cls` from a mapping; an empty optional value counts as left out.

    Raises
    ------
    UnknownNameError
        If a key is no field.
    DefinitionError
        If a field is missing, or its value has the wrong form.
    """
    given = mapping_at(value, place)
    for key in given:
        if key not in forms:
            raise place.unknown("key", key, forms)
    needed = {field.name for field in fields(cls) if field.default is field.default_factory is MISSING}
    for name in forms:
        if name in needed and name not in given:
            raise place.error(f"'{name}' is needed.")
    return {key: forms[key].read(item, place / key) for key, item in given.items() if item is not None or key in needed}


def build(place: Place, cls: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Make a definition, and say the place where it can't be made."""
    with place.named():
        try:
            return cls(*args, **kwargs)
        except TypeError as error:
            raise DefinitionError(f"a value is empty or of the wrong kind ({error}).") from error
