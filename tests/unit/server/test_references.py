"""Features named by a service or one by one, and their names in the answer."""

from __future__ import annotations

import pytest

import headrace as hr
from headrace.definitions.project import Definitions
from headrace.server.errors import RequestError
from headrace.server.references import by_reference, by_service

rows = hr.EventSource(
    "rows", schema={"id": hr.String, "driver": hr.Int64, "ts": hr.Timestamp}, event_time="ts", dedupe_on="id"
)
driver = hr.Entity("driver", keys={"driver": hr.Int64})
one, other = (
    hr.FeatureView(name, entity=driver, source=rows, features={"n": hr.count(), f"of_{name}": hr.count()})
    for name in ("one", "other")
)
DEFINITIONS = Definitions.of([one, other, hr.FeatureService("both", features=[other, one])])


def test_a_service_keeps_its_order() -> None:
    wanted = by_service(DEFINITIONS, "both")
    assert wanted.names(full=True) == ("other__n", "other__of_other", "one__n", "one__of_one")


def test_references_keep_theirs_though_views_alternate() -> None:
    wanted = by_reference(DEFINITIONS, ["one:of_one", "other:of_other", "one:n"])
    assert wanted.columns == ("one__of_one", "other__of_other", "one__n")
    assert set(wanted.service.columns) == set(wanted.columns)
    assert wanted.names(full=False) == ("of_one", "of_other", "n")


def test_bare_names_that_collide() -> None:
    with pytest.raises(RequestError, match="other__n, one__n would all be called 'n'") as refused:
        by_service(DEFINITIONS, "both").names(full=False)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("references", "status"),
    [([], 422), (["one"], 422), (["one:n", "one:n"], 422), (["none:n"], 404), (["one:m"], 404), ([":"], 404)],
)
def test_what_can_not_be_read(references: list[str], status: int) -> None:
    with pytest.raises(RequestError) as refused:
        by_reference(DEFINITIONS, references)
    assert refused.value.status == status
