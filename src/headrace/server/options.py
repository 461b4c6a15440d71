"""How the server behaves: what may wait, for how long, and what it does while the store is away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Final, get_type_hints

import msgspec

from headrace.errors import SettingsError, TimeError
from headrace.types import duration

_Whole = Annotated[int, msgspec.Meta(ge=1)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The server's limits: settings of ``[serve]`` in ``headrace.toml``.

    Parameters
    ----------
    workers : int
        How many processes answer.
    most_rows : int
        How many entities one request may ask for.
    most_waiting : int
        How many requests one worker works at; others are answered 503 at once.
    store_seconds : float
        How long the online store may take to answer a request.
    log : float
        The share of requests whose answers are kept in the lake: 0 for none, 1 for all.
    log_keep_days : int, optional
        For how many days besides today they are kept; for ever by default.
    watch : bool
        Whether definitions are loaded again when the project's files change; a SIGHUP does it in any case.
    stale_if_error : mapping of str to str
        The services that may use what they read lately while the store does not answer, and how old that may be:
        ``eta_model = "5m"``. Such values have the status ``STALE``.
    """

    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    most_rows: _Whole = 10_000
    most_waiting: _Whole = 1_000
    store_seconds: _Seconds = 0.5
    log: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    log_keep_days: _Whole | None = None
    watch: bool = False
    stale_if_error: Mapping[str, str] = field(default_factory=dict)

    @property
    def stale_if_error_us(self) -> dict[str, int]:
        """How old records may be, in microseconds, by service."""
        return {service: duration(text) for service, text in self.stale_if_error.items()}


NAMES: Final = tuple(each.name for each in fields(ServeOptions))


def serve_options(
    table: Mapping[str, object], place: str, given: Mapping[str, Any], environment: Mapping[str, str]
) -> ServeOptions:
    """Read the settings; others of the table are passed over.

    Parameters
    ----------
    table : mapping
        ``[serve]`` of the project's file.
    place : str
        The project's file, for messages.
    given : mapping
        What the command line says, which counts most.
    environment : mapping of str to str
        ``HEADRACE_SERVE_WORKERS`` and the like count more than the file.

    Raises
    ------
    SettingsError
        If a value has the wrong type, or is no duration.
    """
    hints = get_type_hints(ServeOptions, include_extras=True)
    values: dict[str, Any] = {}
    for name in NAMES:
        variable = f"HEADRACE_SERVE_{name.upper()}"
        if name != "stale_if_error" and variable in environment:
            values[name] = _value(variable, environment[variable], hints[name], strict=False)
        elif name in table:
            values[name] = _value(f"{place}, [serve]: {name}", table[name], hints[name], strict=True)
    options = ServeOptions(**{**values, **given})
    try:
        _ = options.stale_if_error_us
    except (TimeError, ValueError) as error:
        raise SettingsError(f"{place}, [serve.stale_if_error]: {error}") from None
    return options


def _value(where: str, value: object, hint: Any, *, strict: bool) -> Any:
    try:
        return msgspec.convert(value, hint, strict=strict)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {error}.") from None
