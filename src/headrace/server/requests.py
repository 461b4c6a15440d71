"""A request as it comes, parsed once.

Bytes become Python values of the columns' own types in one pass: what is no JSON is 400, what is no request 422.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

import msgspec

from headrace.definitions.services import FeatureService
from headrace.errors import DefinitionError, TimeError
from headrace.platform.request_columns import check_columns, python_type, request_columns
from headrace.server.errors import RequestError
from headrace.server.formats import Form, arrow_request
from headrace.types import instant

_FIRST: Final = instant(datetime.min.replace(tzinfo=UTC))
_LAST: Final = instant(datetime.max.replace(tzinfo=UTC))
_LONGEST_TYPO: Final = 20
_MOST_LOOKED_AT: Final = 50
"""Of more members that are not known, the others are not looked at for typos, which takes its time."""
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class FeatureRequest(msgspec.Struct, frozen=True):
    """The body of ``POST /get-online-features``, as of Feast.

    Further members, as clients send them, are passed over; one that is nearly a known one is refused as a typo.

    Parameters
    ----------
    feature_service : str, optional
        The service to read; or `features`, never both.
    features : list of str, optional
        Features as ``view:feature``.
    entities : mapping of str to array
        The columns of keys, and of what on-demand features ask for; all of the same length.
    request_context : mapping of str to array
        More of these columns, for clients that keep keys apart.
    full_feature_names : bool
        Whether a feature is called ``view__feature`` in the answer.
    at : str, optional
        The time to answer for, ISO 8601 with its zone; now by default. Not in Feast.
    """

    entities: dict[str, msgspec.Raw] = {}
    feature_service: str | None = None
    features: list[str] | None = None
    request_context: dict[str, msgspec.Raw] = {}
    full_feature_names: bool = False
    at: str | None = None

    def time(self, now: int) -> int:
        """The time to answer for, in microseconds UTC.

        Raises
        ------
        RequestError
            With 422, if it is none.
        """
        try:
            at = now if self.at is None else instant(self.at)
        except TimeError as error:
            raise RequestError(422, f"at: {error}") from None
        if not _FIRST <= at <= _LAST:
            raise RequestError(422, f"at: '{self.at}' is outside the years 1 to 9999 in UTC. Take a time within them.")
        return at


class _NothingElse(FeatureRequest, frozen=True, forbid_unknown_fields=True):
    """A request that has no further members, as most."""


class _Decoders(NamedTuple):
    exact: Any
    any: Any
    members: Any


_DECODERS: Final[dict[str, _Decoders]] = {
    form: _Decoders(*(made(each) for each in (_NothingElse, FeatureRequest, dict[str, msgspec.Raw])))
    for form, made in (("json", msgspec.json.Decoder), ("msgpack", msgspec.msgpack.Decoder))
}
_NAMES: Final = {"json": "JSON", "msgpack": "MessagePack", "arrow": "Arrow"}


def parse_request(body: bytes, form: Form = "json", query: str = "", most_rows: int = 10_000) -> FeatureRequest:
    """Read a body; the columns are read later, when their types are known.

    Parameters
    ----------
    body : bytes
        What was sent.
    form : str
        Its format. Arrow holds the columns alone.
    query : str
        The URL's, where the other members of an Arrow request are.
    most_rows : int
        How many rows Arrow may have, looked at before they are made values of; of others it is looked at later.

    Raises
    ------
    RequestError
        With 400 for what is not of its format, 422 for what is no request.
    """
    if form == "arrow":
        return _of_arrow(body, query, most_rows)
    try:
        request = _decoded(body, _DECODERS[form])
    except msgspec.ValidationError as error:
        raise RequestError(422, f"the request is no {_NAMES[form]} object as it should be: {error}.") from None
    except _BROKEN as error:
        raise RequestError(400, f"the body is no {_NAMES[form]}: {error}.") from None
    return _checked(request)


def _of_arrow(body: bytes, query: str, most_rows: int) -> FeatureRequest:
    """Its columns go on as MessagePack, so that their types are checked as those of all requests are."""
    members, frame = arrow_request(body, query, most_rows)
    try:
        columns = {name: msgspec.msgpack.encode(values) for name, values in frame.to_dict(as_series=False).items()}
    except (OverflowError, TypeError) as error:
        raise RequestError(422, f"entities: a value is of no type that columns have: {error}.") from None
    try:
        request = msgspec.convert({**members, "entities": {}}, FeatureRequest)
    except msgspec.ValidationError as error:
        raise RequestError(422, f"the request's URL is not as it should be: {error}.") from None
    return _checked(msgspec.structs.replace(request, entities={n: msgspec.Raw(c) for n, c in columns.items()}))


def _checked(request: FeatureRequest) -> FeatureRequest:
    if (request.feature_service is None) == (request.features is None):
        raise RequestError(422, 'name either a feature_service or features, as in {"feature_service": "eta_model", …}.')
    return request


def _decoded(body: bytes, decoders: _Decoders) -> FeatureRequest:
    """The request; its members are looked at one by one only where some are not known."""
    try:
        exact: FeatureRequest = decoders.exact.decode(body)
    except msgspec.ValidationError:
        request: FeatureRequest = decoders.any.decode(body)
    else:
        return exact
    unknown = sorted(decoders.members.decode(body).keys() - set(FeatureRequest.__struct_fields__))
    for name in [name for name in unknown if len(name) <= _LONGEST_TYPO][:_MOST_LOOKED_AT]:
        if near := get_close_matches(name.lower(), FeatureRequest.__struct_fields__, n=1, cutoff=0.8):
            raise RequestError(422, f"the request has a member '{name}'. Did you mean '{near[0]}'?")
    return request


@dataclass(frozen=True, slots=True)
class Columns:
    """Reads the columns of requests for a service.

    Parameters
    ----------
    service : FeatureService
        The service.
    decoders : mapping of str to mapping
        For JSON and for MessagePack, what reads each column.
    needed : frozenset of str
        The columns' names.
    """

    service: FeatureService
    decoders: Mapping[str, Mapping[str, Any]]
    needed: frozenset[str]

    @classmethod
    def of(cls, service: FeatureService) -> Columns:
        """The columns that a service needs, with their types."""
        types = {name: list[python_type(dtype) | None] for name, dtype in request_columns(service).items()}  # type: ignore[misc]
        made = {"json": msgspec.json.Decoder, "msgpack": msgspec.msgpack.Decoder}
        decoders = {form: {name: of(each) for name, each in types.items()} for form, of in made.items()}
        return cls(service, decoders, frozenset(types))

    def parsed(
        self, request: FeatureRequest, most_rows: int, form: Form = "json", *, passes_over: bool = False
    ) -> dict[str, list[Any]]:
        """The columns of a request.

        Parameters
        ----------
        request : FeatureRequest
            What was asked.
        most_rows : int
            How many entities there may be.
        form : str
            The format of the columns.
        passes_over : bool
            Whether further columns are passed over, as Feast's clients may send some; a likely typo is refused.

        Raises
        ------
        RequestError
            With 422, if a column is missing, unknown, given twice, of another type or of another length than the
            others, or there are more than `most_rows` rows; with 400 for what is no JSON after all.
        """
        given = self._given(request, passes_over=passes_over)
        own = self.decoders["json" if form == "json" else "msgpack"]
        columns = {name: _column(name, decoder, given[name], form) for name, decoder in own.items()}
        if len(columns) == 1:
            (values,) = columns.values()
            self._check_rows(len(values), most_rows)
            return columns
        lengths = {name: len(values) for name, values in columns.items()}
        most = max(lengths.values(), default=0)
        if min(lengths.values(), default=0) < most:
            listed = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
            raise RequestError(422, f"entities: the columns have different lengths: {listed}.")
        self._check_rows(most, most_rows)
        return columns

    def _check_rows(self, n: int, most_rows: int) -> None:
        if n > most_rows:
            raise RequestError(
                422,
                f"entities: there are {n:,} rows, and at most {most_rows:,} are answered at once. "
                "Ask several times, or start the server with a greater --most-rows.",
            )

    def _given(self, request: FeatureRequest, *, passes_over: bool) -> Mapping[str, msgspec.Raw]:
        for name in request.request_context:
            if name in request.entities:
                raise RequestError(422, f"column '{name}' is in entities and in request_context. Give it once.")
        given = {**request.entities, **request.request_context} if request.request_context else request.entities
        if given.keys() == self.needed:
            return given
        try:
            check_columns(self.service, self._relevant(given) if passes_over else given, "entities")
        except DefinitionError as error:
            raise RequestError(422, str(error)) from None
        return given

    def _relevant(self, given: Mapping[str, msgspec.Raw]) -> list[str]:
        """The columns but those that are passed over, as Feast's clients may send more; a likely typo is not."""
        more = [name for name in given if name not in self.needed]
        return [name for name in given if name in self.needed or self._is_typo(name, len(more))]

    def _is_typo(self, name: str, n_unknown: int) -> bool:
        looked_at = len(name) <= _LONGEST_TYPO and n_unknown <= _MOST_LOOKED_AT
        return looked_at and bool(get_close_matches(name.lower(), self.needed, n=1, cutoff=0.75))


def _column(name: str, decoder: Any, raw: msgspec.Raw, form: Form) -> list[Any]:
    try:
        values: list[Any] = decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise RequestError(422, f"entities, column '{name}': {error}.") from None
    except _BROKEN as error:
        raise RequestError(400, f"the body is no {_NAMES[form]}: column '{name}': {error}.") from None
    return values
