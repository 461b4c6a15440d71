"""What ``/v1/`` is asked and answers, as JSON: requests are strict, times are ISO 8601 in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from headrace.server.errors import RequestError
from headrace.server.requests import FeatureRequest
from headrace.types import instant

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST: Final = instant(datetime.min.replace(tzinfo=UTC))
_LAST: Final = instant(datetime.max.replace(tzinfo=UTC))
_BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T")


class EntitiesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What both ways of asking for values have.

    Parameters
    ----------
    entities : mapping of str to array
        The columns of keys, and of what on-demand features ask for; all of the same length.
    at : str, optional
        The time to answer for, ISO 8601 with its zone; now by default.
    features : list of str, optional
        Some of the service's features, as ``view__feature`` or ``view:feature``; all by default.
    """

    entities: dict[str, msgspec.Raw] = {}
    at: str | None = None
    features: list[str] | None = None

    def time(self, now: int) -> int:
        """The time to answer for, in microseconds UTC.

        Raises
        ------
        RequestError
            With 422, if it is none, or lies outside the years 1 to 9999 in UTC.
        """
        at = FeatureRequest(at=self.at).time(now)
        if not _FIRST <= at <= _LAST:
            raise RequestError(422, f"at: '{self.at}' is outside the years 1 to 9999 in UTC. Take a time within them.")
        return at


class FeaturesRequest(EntitiesRequest, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/features/{service}``.

    Parameters
    ----------
    lineage : bool
        Whether each value comes with the time from which it holds.
    """

    lineage: bool = False


class ViewServed(msgspec.Struct, frozen=True):
    """What is served of a view.

    Parameters
    ----------
    version : int
        The number of the publication.
    definition : str
        The fingerprint of the definition that made it.
    frontier : datetime
        Through when the view is computed.
    written_at : datetime
        When the online store was told so.
    lag_seconds : float
        How long before now the frontier is.
    freshness_seconds : float or None
        How far behind the view may be, where it says so.
    is_stale : bool or None
        Whether it is further behind than that; None where it does not say.
    stream : str or None
        The source whose stream writes the view's records; None where publications do.
    """

    version: int
    definition: str
    frontier: datetime | None
    written_at: datetime | None
    lag_seconds: float
    freshness_seconds: float | None
    is_stale: bool | None
    stream: str | None


class FeatureColumn(msgspec.Struct, frozen=True):
    """One feature of an answer, a place an entity.

    Parameters
    ----------
    name : str
        ``view__feature``.
    values : sequence
        The values; None unless the status is ``PRESENT``, or ``STALE``.
    statuses : sequence of str
        Why.
    event_times : sequence of datetime or None
        When the newest row behind each value happened.
    ages_seconds : sequence of float or None
        How long before the time of the answer that is.
    valid_from : sequence of datetime or None, optional
        From when the step holds that each value is read from; asked for with ``lineage``.
    reason : str, optional
        Why an on-demand feature failed.
    """

    name: str
    values: Sequence[Any]
    statuses: Sequence[str]
    event_times: Sequence[datetime | None]
    ages_seconds: Sequence[float | None]
    valid_from: Sequence[datetime | None] | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class FeaturesAnswer(msgspec.Struct, frozen=True):
    """The answer of ``POST /v1/features/{service}``."""

    service: str
    at: datetime
    views: dict[str, ViewServed]
    features: Sequence[str]
    results: Sequence[FeatureColumn]


class RowOrigin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a row came from: a file and a row's number, or a partition and an offset.

    Parameters
    ----------
    kind : str
        ``file`` or ``stream``.
    batch : str
        What it landed with.
    arrived_at : datetime
        When it arrived; of a stream, when the log took it.
    known_at : datetime
        From when it counts.
    file, row : str, int, optional
        The file and where the row stood in it: the line of a text file, the number of a row from 1 elsewhere.
    topic, partition, offset : str, int, int, optional
        Of a Kafka topic.
    """

    kind: str
    batch: str
    arrived_at: datetime | None
    known_at: datetime | None
    file: str | UnsetType = UNSET
    row: int | UnsetType = UNSET
    topic: str | UnsetType = UNSET
    partition: int | UnsetType = UNSET
    offset: int | UnsetType = UNSET


class ValueLineage(msgspec.Struct, frozen=True):
    """One value, and what it rests on.

    Parameters
    ----------
    name, value, status : str, value, str
        As in `FeatureColumn`.
    view, version, source : str, int, str, or None
        What it was read from; None of an on-demand feature.
    valid_from, event_time : datetime or None
        From when its step holds, and when the newest row behind it happened.
    origin : RowOrigin or None
        Where that row came from.
    reason : str or None
        Why there is no origin.
    computed_from : sequence of str, optional
        The features and request columns that an on-demand feature reads.
    """

    name: str
    value: Any
    status: str
    view: str | None
    version: int | None
    source: str | None
    valid_from: datetime | None
    event_time: datetime | None
    origin: RowOrigin | None
    reason: str | None
    computed_from: Sequence[str] | UnsetType = UNSET


class EntityLineage(msgspec.Struct, frozen=True):
    """The values of one entity; `entity` has what it was asked with."""

    entity: dict[str, Any]
    values: Sequence[ValueLineage]


class LineageAnswer(msgspec.Struct, frozen=True):
    """The answer of ``POST /v1/lineage/{service}``."""

    service: str
    at: datetime
    views: dict[str, ViewServed]
    entities: Sequence[EntityLineage]


def read(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """A body as a request.

    Raises
    ------
    RequestError
        With 400 for what is no JSON, 422 for JSON of another form.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        known = ", ".join(getattr(decoder.type, "__struct_fields__", ()))
        raise RequestError(
            422, f"the request is no JSON object as it should be: {error}. Its members: {known}."
        ) from None
    except _BROKEN as error:
        raise RequestError(400, f"the body is no JSON: {error}.") from None


def utc(time_us: int | None) -> datetime | None:
    """An instant as JSON has it; None for none, and for what no calendar has, such as "never".

    Examples
    --------
    >>> str(utc(0)), utc(None), utc(2**62)
    ('1970-01-01 00:00:00+00:00', None, None)
    """
    if time_us is None or not _FIRST <= time_us <= _LAST:
        return None
    return _EPOCH + timedelta(microseconds=time_us)
