"""Small values written by the function that makes them: ``{mean: speed, window: {sliding: 5m, hop: 30s}}``.

One key names the function, its value is the first argument and the other keys are options. They are
the names of the Python functions and their parameters, so one reference serves both.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from headrace.definitions import aggregations, checks, locations, personal, windows
from headrace.definitions.forms import FLAG, LENGTH, NUMBER, SCALAR, TEXT, WHOLE, Form, build, list_of
from headrace.definitions.place import Place, mapping_at


@dataclass(frozen=True, slots=True)
class Word:
    """A function that can be called in a document.

    Parameters
    ----------
    make : callable
        The function.
    first : Form or None
        The form of its first argument, the word's own value; None if it takes none.
    options : mapping of str to Form
        Its other arguments.
    implied : mapping of str to value
        What the function takes an option for that is left out, where that is not its default.
    """

    make: Callable[..., Any]
    first: Form | None
    options: Mapping[str, Form]
    implied: Mapping[str, Any] = field(default_factory=dict)

    @property
    def needed(self) -> frozenset[str]:
        """The arguments that can't be left out; the first is called ``""``."""
        parameters = inspect.signature(self.make).parameters.values()
        needed = [parameter.name for parameter in parameters if parameter.default is inspect.Parameter.empty]
        return frozenset(name if name in self.options else "" for name in needed)

    def written_options(self, item: Any) -> dict[str, Any]:
        """The options that make `item`, without those that are as they would be anyway."""
        parameters = inspect.signature(self.make).parameters
        found = {}
        for name, form in self.options.items():
            value = getattr(item, name)
            default = self.implied.get(name, parameters[name].default)
            written = None if value is None else form.write(value)
            if name in self.needed or written != (default if default is None else form.write(default)):
                found[name] = written
        return found


def form_of(what: str, words: Mapping[str, Word], name_of: Callable[[Any], tuple[str, Any]]) -> Form:
    """The form of values made by one of `words`.

    Parameters
    ----------
    what : str
        What the words are called in messages.
    words : mapping of str to Word
        The functions by name.
    name_of : callable
        From a value to the word and the first argument that make it.
    """

    def write(item: Any) -> Any:
        name, first = name_of(item)
        word = words[name]
        options = word.written_options(item)
        if first is None and not options:
            return name
        return {name: None if first is None or word.first is None else word.first.write(first), **options}

    return Form(write, lambda value, place: _read(value, place, what, words))


def _read(value: Any, place: Place, what: str, words: Mapping[str, Word]) -> Any:
    given = {value: None} if isinstance(value, str) else mapping_at(value, place)
    name = _word_in(given, place, what, words)
    word = words[name]
    for key in given:
        if key != name and key not in word.options:
            raise place.unknown("option", key, word.options)
    for key in ("", *word.options):
        if key in word.needed and given.get(key or name) is None:
            raise place.error(f"{name} needs '{key}'." if key else f"{name} needs a value, as in {{{name}: …}}.")
    options = {
        key: word.options[key].read(item, place / key)
        for key, item in given.items()
        if key != name and item is not None
    }
    if given[name] is None:
        return build(place, word.make, **options)
    if word.first is None:
        raise place.error(f"{name} takes no value, found {given[name]!r}.")
    return build(place, word.make, word.first.read(given[name], place / name), **options)


def _word_in(given: Mapping[str, Any], place: Place, what: str, words: Mapping[str, Word]) -> str:
    found = [key for key in given if key in words]
    if len(found) > 1:
        raise place.error(f"{' and '.join(found)} stand together: write one {what}.")
    if not found:
        options = {key for word in words.values() for key in word.options}
        unknown = next((key for key in given if key not in options), "")
        raise place.unknown(what, unknown, words)
    return found[0]


def _window_name(window: windows.Window) -> tuple[str, Any]:
    match window:
        case windows.Lifetime():
            return "lifetime", None
        case windows.Sliding(size):
            return "sliding", size
        case windows.Hopping(size, hop):
            return "tumbling" if hop == size else "hopping", size


_HOPS = {"hop": LENGTH, "offset": LENGTH}
WINDOW = form_of(
    "window",
    {
        "lifetime": Word(windows.lifetime, None, {}),
        "sliding": Word(windows.sliding, LENGTH, _HOPS),
        "hopping": Word(windows.hopping, LENGTH, _HOPS),
        "tumbling": Word(windows.tumbling, LENGTH, {"offset": LENGTH}),
    },
    _window_name,
)

_OPTION_FORMS: Mapping[str, Form] = {
    "n": WHOLE,
    "q": NUMBER,
    "window": WINDOW,
    "where": TEXT,
    "skip_nulls": FLAG,
    "error": NUMBER,
    "ddof": WHOLE,
    "default": SCALAR,
    "description": TEXT,
}


def _aggregation_word(name: str) -> Word:
    approximate = name == "approx_count_distinct"
    make = partial(aggregations.count_distinct, approximate=True) if approximate else getattr(aggregations, name)
    parameters = inspect.signature(make).parameters
    options = {key: form for key, form in _OPTION_FORMS.items() if key in parameters}
    return Word(make, TEXT, options, implied={"window": windows.lifetime()})


AGGREGATION = form_of(
    "aggregation",
    {name: _aggregation_word(name) for name in aggregations.RULES},
    lambda item: (item.function, item.column),
)

_SHARE = {"max_failing_share": NUMBER}
CHECK = form_of(
    "check",
    {
        "between": Word(checks.between, TEXT, {"low": SCALAR, "high": SCALAR, **_SHARE}),
        "not_null": Word(checks.not_null, TEXT, _SHARE),
        "is_in": Word(checks.is_in, TEXT, {"values": list_of(SCALAR), **_SHARE}),
        "matches": Word(checks.matches, TEXT, {"pattern": TEXT, **_SHARE}),
    },
    lambda item: (item.rule, item.column),
)

MASK = form_of(
    "mask",
    {
        "hmac": Word(personal.hmac, None, {}),
        "drop": Word(personal.drop, None, {}),
        "truncate": Word(personal.truncate, WHOLE, {}),
    },
    lambda item: (item.method, item.keep if item.method == "truncate" else None),
)

LOCATION = form_of(
    "location",
    {
        "files": Word(locations.Files, TEXT, {"format": TEXT}),
        "kafka": Word(locations.Kafka, TEXT, {"format": TEXT, "key": TEXT, "partitioner": TEXT}),
        "debezium": Word(locations.Debezium, TEXT, {}),
    },
    lambda item: (type(item).__name__.lower(), item.pattern if isinstance(item, locations.Files) else item.topic),
)
