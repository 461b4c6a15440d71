"""A request as it comes, parsed once.

Bytes become Python values of the columns' own types in one pass: what is no JSON is 400, what is no request 422.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from headrace.definitions.services import FeatureService
from headrace.errors import DefinitionError, TimeError
from headrace.platform.request_columns import check_columns, python_type, request_columns
from headrace.server.errors import RequestError
from headrace.types import instant

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
            return now if self.at is None else instant(self.at)
        except TimeError as error:
            raise RequestError(422, f"at: {error}") from None


class _NothingElse(FeatureRequest, frozen=True, forbid_unknown_fields=True):
    """A request that has no further members, as most."""


_exact: Final = msgspec.json.Decoder(_NothingElse)
_decoder: Final = msgspec.json.Decoder(FeatureRequest)
_members: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def parse_request(body: bytes) -> FeatureRequest:
    """Read a body; the columns are read later, when their types are known.

    Raises
    ------
    RequestError
        With 400 for what is no JSON, 422 for JSON of another form.
    """
    try:
        request = _decoded(body)
    except msgspec.ValidationError as error:
        raise RequestError(422, f"the request is no JSON object as it should be: {error}.") from None
    except _BROKEN as error:
        raise RequestError(400, f"the body is no JSON: {error}.") from None
    if (request.feature_service is None) == (request.features is None):
        raise RequestError(422, 'name either a feature_service or features, as in {"feature_service": "eta_model", …}.')
    return request


def _decoded(body: bytes) -> FeatureRequest:
    """The request; its members are looked at one by one only where some are not known."""
    try:
        return _exact.decode(body)
    except msgspec.ValidationError:
        request = _decoder.decode(body)
    for name in _members.decode(body).keys() - set(FeatureRequest.__struct_fields__):
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
    decoders : mapping of str to Decoder
        What reads each column.
    """

    service: FeatureService
    decoders: Mapping[str, msgspec.json.Decoder[list[Any]]]

    @classmethod
    def of(cls, service: FeatureService) -> Columns:
        """The columns that a service needs, with their types."""
        types = {name: list[python_type(dtype) | None] for name, dtype in request_columns(service).items()}  # type: ignore[misc]
        return cls(service, {name: msgspec.json.Decoder(column) for name, column in types.items()})

    def parsed(self, request: FeatureRequest, most_rows: int) -> dict[str, list[Any]]:
        """The columns of a request.

        Raises
        ------
        RequestError
            With 422, if a column is missing, unknown, given twice, of another type or of another length than the
            others, or there are more than `most_rows` rows; with 400 for what is no JSON after all.
        """
        given = self._given(request)
        columns = {name: _column(name, decoder, given[name]) for name, decoder in self.decoders.items()}
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
            raise RequestError(422, f"entities: the columns have different lengths: {listed}.")
        if max(lengths.values(), default=0) > most_rows:
            raise RequestError(
                422,
                f"entities: there are {max(lengths.values()):,} rows, and at most {most_rows:,} are answered at once. "
                "Ask several times, or start the server with a greater --most-rows.",
            )
        return columns

    def _given(self, request: FeatureRequest) -> Mapping[str, msgspec.Raw]:
        for name in request.request_context:
            if name in request.entities:
                raise RequestError(422, f"column '{name}' is in entities and in request_context. Give it once.")
        given = {**request.entities, **request.request_context}
        try:
            check_columns(self.service, given, "entities")
        except DefinitionError as error:
            raise RequestError(422, str(error)) from None
        return given


def _column(name: str, decoder: msgspec.json.Decoder[list[Any]], raw: msgspec.Raw) -> list[Any]:
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise RequestError(422, f"entities, column '{name}': {error}.") from None
    except _BROKEN as error:
        raise RequestError(400, f"the body is no JSON: column '{name}': {error}.") from None
