"""A fingerprint changes where values may change, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import headrace as hr
from headrace.definitions.fingerprint import (
    entity_fingerprint,
    fingerprint,
    on_demand_fingerprint,
    service_fingerprint,
    source_fingerprint,
    view_fingerprint,
)
from headrace.definitions.views import FeatureView
from tests.unit.definitions.examples import SCHEMA, available, cell, driver, driver_now, gps, moving, plain, source

TUMBLING = {"n": hr.count(window=hr.tumbling("5m"))}


def view(**options: Any) -> FeatureView:
    features = {"last_ping": hr.last("ts"), "speed": hr.mean("speed", window=hr.sliding("5m", hop="30s"))}
    return hr.FeatureView("v", **{"entity": driver, "source": gps, "features": features, **options})


def view_of(**options: Any) -> FeatureView:
    return view(source=source(dedupe_on="event_id", max_lateness="10s", **options))


SAME = {
    "people's words": view(description="d", owner="o", tags=["t"]),
    "the audit": view(checks=[hr.check.not_null("speed")], freshness="1m"),
    "serving": view(online=False),
    "what is applied when a value is read": view(ttl="5m"),
    "the order of features": view(features=dict(reversed(list(view().features.items())))),
    "a feature's description": view(features={**view().features, "last_ping": hr.last("ts", description="x")}),
    "where rows come from": view_of(batch=hr.Files("x.csv"), stream=hr.Kafka("t")),
    "the contract": view_of(contract=[hr.check.not_null("speed")], required="status", max_rejected_share=0.5),
    "how long identities are kept": view_of(dedupe_within="1d"),
    "what it is complete for": view_of(complete_from="beginning"),
    "columns not used": view_of(schema={**SCHEMA, "path": hr.String, "more": hr.Int8}),
    "masks not used": view_of(personal={"status": hr.mask.drop()}),
    "a delay without hopping windows": view(source=source(dedupe_on="event_id", max_lateness="1h")),
}
DIFFERENT = {
    "a window": view(features={**view().features, "speed": hr.mean("speed", window=hr.sliding("5m", hop="10s"))}),
    "a column": view(features={**view().features, "last_ping": hr.last("status")}),
    "a condition": view(where="speed > 3"),
    "a feature": view(features={**view().features, "n": hr.count()}),
    "a default": view(features={**view().features, "speed": replace(view().features["speed"], default=0.0)}),
    "keys": view(keys={"driver_id": "driver_id"}),
    "the entity": view(entity=None),
    "the resolution": view(resolution="1m"),
    "the source": view(source=replace(gps, name="gps2")),
    "when rows are known": view_of(known_after="1h"),
    "when rows happen": view_of(timezone="Europe/Zurich"),
    "strictness": view_of(inclusive=True),
    "ties": view_of(sequence="speed"),
    "identity": view(source=source(max_lateness="10s")),
    "a used column's type": view_of(schema={**SCHEMA, "speed": hr.Float32}),
    "a used column's mask": view_of(personal={"speed": hr.mask.truncate(0)}),
    "a transform": view(transform=moving),
}


@pytest.mark.parametrize("case", SAME)
def test_what_keeps_values_keeps_the_fingerprint(case: str) -> None:
    assert view_fingerprint(SAME[case]) == view_fingerprint(view())


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_may_change_values_changes_the_fingerprint(case: str) -> None:
    assert view_fingerprint(DIFFERENT[case]) != view_fingerprint(view())


def test_different_definitions_have_different_fingerprints() -> None:
    found = {view_fingerprint(item) for item in DIFFERENT.values()}
    assert len(found) == len(DIFFERENT)
    assert all(len(text) == 16 for text in found)


def test_the_delay_of_a_hopping_window_counts() -> None:
    later = source(dedupe_on="event_id", max_lateness="1h")
    assert view_fingerprint(view(features=TUMBLING)) != view_fingerprint(view(features=TUMBLING, source=later))


def test_a_functions_text_and_version_count() -> None:
    versions = [moving, hr.transform(plain), hr.transform(version="2")(plain), hr.transform(version="3")(plain)]
    assert len({view_fingerprint(view(transform=made)) for made in versions}) == len(versions)
    assert view_fingerprint(view(transform=hr.transform(plain))) == view_fingerprint(
        view(transform=hr.transform(plain))
    )
    assert on_demand_fingerprint(available) != on_demand_fingerprint(replace(available, version="2"))
    assert on_demand_fingerprint(available) == on_demand_fingerprint(replace(available, description="d"))


def test_all_columns_count_where_a_transform_reads_the_rows() -> None:
    more = source(dedupe_on="event_id", max_lateness="10s", schema={**SCHEMA, "more": hr.Int8})
    assert view_fingerprint(view(transform=moving)) != view_fingerprint(view(transform=moving, source=more))


def test_what_decides_silver() -> None:
    assert source_fingerprint(gps) == source_fingerprint(replace(gps, owner="o", batch=hr.Files("x.csv")))
    changed = [
        replace(gps, schema={**SCHEMA, "more": hr.Int8}),
        replace(gps, contract=(hr.check.not_null("speed"),)),
        replace(gps, personal={"status": hr.mask.drop()}),
        replace(gps, dedupe_within="1d"),
        replace(gps, max_future="1h"),
    ]
    assert len({source_fingerprint(item) for item in (gps, *changed)}) == len(changed) + 1


def test_the_order_of_a_composite_key_counts() -> None:
    turned = hr.Entity("cell", keys=dict(reversed(list(cell.keys.items()))))
    assert entity_fingerprint(cell) != entity_fingerprint(turned)


def test_a_service_is_its_columns() -> None:
    service = hr.FeatureService("s", features=[driver_now, available])
    assert service_fingerprint(service) == service_fingerprint(replace(service, owner="o"))
    assert service_fingerprint(service) != service_fingerprint(replace(service, features=(driver_now,)))


@pytest.mark.parametrize("item", [driver, gps, driver_now, available], ids=lambda item: type(item).__name__)
def test_any_definition_has_one(item: Any) -> None:
    assert int(fingerprint(item), 16) >= 0
