"""Values with what is known of them: how fresh each view is, how old each value, and from when on it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from headrace.errors import UnknownNameError
from headrace.platform.lineage import Traced, traced
from headrace.server.errors import RequestError
from headrace.server.requests import FeatureRequest
from headrace.server.v1_forms import FeatureColumn, FeaturesAnswer, FeaturesRequest, ViewServed, utc
from headrace.timeline.packed import STATUSES
from headrace.types import SECOND

if TYPE_CHECKING:
    from headrace.definitions.services import FeatureService
    from headrace.platform.online_answer import OnlineAnswer
    from headrace.platform.online_heads import Head
    from headrace.server.answering import Project
    from headrace.server.asked import Asked
    from headrace.server.v1_forms import EntitiesRequest

MOST_TRACED: Final = 1_000
"""Of so many entities at most, the steps are looked up."""


def features(
    project: Project, name: str, request: FeaturesRequest, most_rows: int
) -> tuple[FeaturesAnswer, OnlineAnswer]:
    """The answer of ``POST /v1/features/{service}``, and what was read for it.

    Parameters
    ----------
    project : Project
        The project, with what is kept of its services.
    name : str
        The service.
    request : FeaturesRequest
        What is asked.
    most_rows : int
        How many entities one request may ask for.

    Raises
    ------
    HeadraceError
        If there is no answer.
    """
    asked = project.asked.of(FeatureRequest(feature_service=name))
    wanted = wanted_columns(asked.wanted.service, request.features)
    now = project.context.clock()
    at = request.time(now)
    columns = entity_columns(asked, request, min(most_rows, MOST_TRACED) if request.lineage else most_rows)
    found = traced(asked.reader, columns, at) if request.lineage else None
    answer = asked.reader.read(columns, at) if found is None else found.answer
    time = utc(at)
    assert time is not None
    return FeaturesAnswer(name, time, served(answer.heads, now), wanted, _columns(answer, wanted, found)), answer


def entity_columns(asked: Asked, request: EntitiesRequest, most_rows: int) -> dict[str, list[Any]]:
    """The columns of a request, each of its own type.

    Raises
    ------
    RequestError
        If they are not as the service needs them.
    """
    return asked.columns.parsed(FeatureRequest(entities=request.entities, feature_service=asked.name), most_rows)


def wanted_columns(service: FeatureService, names: Sequence[str] | None) -> tuple[str, ...]:
    """The columns of a service that a request names, in its order.

    Raises
    ------
    RequestError
        With 404, if the service has no such feature; with 422, if there is none, or one is named twice.
    """
    if names is None:
        return service.columns
    wanted = tuple(name.replace(":", "__", 1) for name in names)
    if not wanted:
        raise RequestError(422, "features: there are none. Name some, or leave the member out for all.")
    for name in wanted:
        if name not in service.columns:
            error = UnknownNameError.of("feature", name, service.columns, f"features, service '{service.name}'")
            raise RequestError(404, str(error))
        if wanted.count(name) > 1:
            raise RequestError(422, f"features: '{name}' is named twice.")
    return wanted


def served(heads: Mapping[str, Head], now: int) -> dict[str, ViewServed]:
    """What is served of each view, by its head."""
    return {view: _served(head, now) for view, head in heads.items()}


def _served(head: Head, now: int) -> ViewServed:
    lag_us, most_us = now - head.frontier, head.freshness_us
    return ViewServed(
        version=head.number,
        definition=head.fingerprint,
        frontier=utc(head.frontier),
        written_at=utc(head.written_at),
        lag_seconds=lag_us / SECOND,
        freshness_seconds=None if most_us is None else most_us / SECOND,
        is_stale=None if most_us is None else lag_us > most_us,
        stream=head.stream or None,
    )


def _columns(answer: OnlineAnswer, wanted: Sequence[str], found: Traced | None) -> list[FeatureColumn]:
    places = {name: place for place, name in enumerate(answer.names)}
    begins = None if found is None else found.valid_from()
    return [_column(answer, name, places[name], begins) for name in wanted]


def _column(
    answer: OnlineAnswer, name: str, place: int, begins: Sequence[tuple[int | None, ...]] | None
) -> FeatureColumn:
    times = answer.time_columns[place]
    return FeatureColumn(
        name=name,
        values=[row[place] for row in answer.rows],
        statuses=[STATUSES[row[place]] for row in answer.statuses],
        event_times=[utc(time) for time in times],
        ages_seconds=[None if time is None else (answer.at - time) / SECOND for time in times],
        valid_from=UNSET if begins is None else [utc(row[place]) for row in begins],
        reason=answer.failures.get(name, UNSET),
    )
