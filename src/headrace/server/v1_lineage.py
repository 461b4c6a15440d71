"""What each value rests on: its view, version and step, and the row behind it with the place that it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from headrace.definitions.locations import Files
from headrace.definitions.services import bindings
from headrace.platform.lineage import Traced, traced
from headrace.platform.lineage_rows import Origin, newest_rows
from headrace.server.errors import RequestError
from headrace.server.requests import FeatureRequest
from headrace.server.v1_answers import entity_columns, served, wanted_columns
from headrace.server.v1_forms import EntitiesRequest, EntityLineage, LineageAnswer, RowOrigin, ValueLineage, utc
from headrace.timeline.packed import STATUSES

if TYPE_CHECKING:
    from headrace.definitions.transforms import OnDemand
    from headrace.definitions.views import Selection
    from headrace.platform.context import Context
    from headrace.platform.online_answer import OnlineAnswer
    from headrace.server.answering import Project

MOST_ENTITIES: Final = 100
"""Each is looked for in the lake."""


def lineage(project: Project, name: str, request: EntitiesRequest) -> tuple[LineageAnswer, OnlineAnswer]:
    """The answer of ``POST /v1/lineage/{service}``, and what was read for it.

    Parameters
    ----------
    project : Project
        The project, with what is kept of its services.
    name : str
        The service.
    request : EntitiesRequest
        What is asked, for `MOST_ENTITIES` at most.

    Raises
    ------
    HeadraceError
        If there is no answer.
    """
    asked, context = project.asked.of(FeatureRequest(feature_service=name)), project.context
    service = asked.wanted.service
    wanted = wanted_columns(service, request.features)
    now = context.clock()
    at = request.time(now)
    columns = entity_columns(asked, request, most_rows=10_000)
    n = max(map(len, columns.values()), default=1)
    if n > MOST_ENTITIES:
        raise RequestError(
            422, f"entities: there are {n:,}, and the lineage of {MOST_ENTITIES} at most is told at once."
        )
    found = traced(asked.reader, columns, at)
    telling = _Telling(found, _origins(context, found, wanted, columns), columns, service.on_demand)
    time = utc(at)
    assert time is not None
    entities = [telling.entity(row, wanted) for row in range(n)]
    return LineageAnswer(name, time, served(found.answer.heads, now), entities), found.answer


def _origins(
    context: Context, found: Traced, wanted: Sequence[str], columns: Mapping[str, Sequence[Any]]
) -> dict[str, list[Origin | str]]:
    """For each selection that a wanted column is read by, by its name, the origin of each entity's newest row."""
    read = {chosen.name: chosen for column in wanted if (chosen := found.selection(column)) is not None}
    heads, at = found.answer.heads, found.answer.at
    return {
        name: newest_rows(context, chosen, heads[chosen.reference], columns, found.steps[name], at)
        for name, chosen in read.items()
    }


class _Telling:
    """Puts together what was found of each value."""

    def __init__(
        self,
        found: Traced,
        origins: Mapping[str, list[Origin | str]],
        columns: Mapping[str, Sequence[Any]],
        on_demand: Sequence[OnDemand],
    ) -> None:
        self._found, self._answer = found, found.answer
        self._origins, self._columns = origins, columns
        self._places = {name: place for place, name in enumerate(found.answer.names)}
        self._on_demand = {f"{item.name}__{output}": item for item in on_demand for output in item.outputs}

    def entity(self, row: int, wanted: Sequence[str]) -> EntityLineage:
        """One entity."""
        asked = {column: values[row] for column, values in self._columns.items()}
        return EntityLineage(asked, [self._value(name, row) for name in wanted])

    def _value(self, name: str, row: int) -> ValueLineage:
        chosen, place = self._found.selection(name), self._places[name]
        value, status = self._answer.rows[row][place], STATUSES[self._answer.statuses[row][place]]
        if chosen is None:
            return self._computed(name, value, status)
        step, origin = self._found.step(name, row), self._origins[chosen.name][row]
        return ValueLineage(
            name, value, status, chosen.view.name, self._answer.heads[chosen.reference].number,
            chosen.view.source.name, utc(None if step is None else step.valid_from),
            utc(None if step is None else step.event_time),
            *((None, origin) if isinstance(origin, str) else (row_origin(chosen, origin), None)),
        )  # fmt: skip

    def _computed(self, name: str, value: Any, status: str) -> ValueLineage:
        item = self._on_demand[name]
        reason = self._answer.failures.get(name) or f"computed for this request by {item.path}"
        inputs = list(dict.fromkeys(bindings(item).values()))
        return ValueLineage(name, value, status, None, None, None, None, None, None, reason, inputs)


def row_origin(chosen: Selection, origin: Origin) -> RowOrigin:
    """An origin as it is told: by the kind of the source's stream, a topic's partition or a file."""
    told = RowOrigin(origin.kind, origin.batch, utc(origin.arrived_at), utc(origin.known_at))
    if origin.kind == "file":
        return replace(told, file=origin.place, row=origin.row)
    if isinstance(chosen.view.source.stream, Files):
        return replace(told, file=origin.place, offset=origin.row)
    topic, _, partition = origin.place.rpartition("/")
    if topic and partition.isdecimal():
        return replace(told, topic=topic, partition=int(partition), offset=origin.row)
    return replace(told, file=origin.place, offset=origin.row)
