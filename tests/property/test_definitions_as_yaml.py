"""Definitions written as YAML are read back equal, with equal fingerprints."""

from __future__ import annotations

import json
from datetime import UTC, date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import headrace as hr
from headrace.definitions.codec import definitions_of, document_of
from headrace.definitions.fingerprint import fingerprint
from headrace.definitions.functions import function_at
from headrace.definitions.locations import MESSAGE_FORMATS, PARTITIONERS
from headrace.definitions.project import KINDS, Definitions
from headrace.definitions.views import FeatureView
from headrace.definitions.yaml import from_yaml, to_yaml
from headrace.types import DAY, duration_text
from tests.unit.definitions.examples import SCHEMA, available, driver, driver_now, moving, plain, renamed

LENGTHS = st.integers(1, 400 * DAY)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12) | st.sampled_from(
    ["yes", "on", "null", "~", "1e3", "2026-01-05", ": #", "- a", "{x}", "12:30", "0x1f"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
NUMBERS = st.sampled_from(["speed"])
WHERE = st.none() | st.sampled_from(["status = 'free'", "speed > 3 AND status IS NOT NULL"])


@st.composite
def windows(draw: st.DrawFn) -> Any:
    hop = draw(LENGTHS)
    lengths = {"hop": duration_text(hop), "offset": duration_text(draw(st.integers(0, 2 * hop)))}
    size = duration_text(hop * draw(st.integers(1, 50)))
    return draw(st.sampled_from([None, hr.lifetime(), hr.sliding(size, **lengths), hr.hopping(size, **lengths)]))


def aggregations() -> st.SearchStrategy[Any]:
    options = {"window": windows(), "where": WHERE, "description": TEXTS}
    valued = {**options, "default": SCALARS}
    row = {**valued, "skip_nulls": st.booleans()}
    return st.one_of(
        *(st.builds(make, st.sampled_from(list(SCHEMA)), **row) for make in (hr.last, hr.first)),
        *(st.builds(make, NUMBERS, **valued) for make in (hr.sum, hr.mean, hr.min, hr.max)),
        *(st.builds(make, NUMBERS, ddof=st.integers(0, 2), **valued) for make in (hr.variance, hr.stddev)),
        st.builds(hr.last_n, st.just("status"), st.integers(1, 9), skip_nulls=st.booleans(), **options),
        st.builds(hr.count, st.none() | st.sampled_from(list(SCHEMA)), **options),
        st.builds(hr.count_distinct, st.just("status"), approximate=st.booleans(), **options),
        st.builds(hr.quantile, NUMBERS, st.floats(0, 1), error=st.floats(0.001, 0.1), **valued),
    )


def checks(column: str) -> st.SearchStrategy[Any]:
    share = {"max_failing_share": st.floats(0, 1)}
    bounds = st.integers() | st.floats(allow_nan=False) | st.dates() | st.datetimes(timezones=st.just(UTC))
    return st.one_of(
        st.builds(hr.check.between, st.just(column), bounds, st.none() | bounds, **share),
        st.builds(hr.check.not_null, st.just(column), **share),
        st.builds(hr.check.is_in, st.just(column), st.lists(SCALARS, min_size=1, max_size=3), **share),
        st.builds(hr.check.matches, st.just(column), TEXTS, **share),
    )


MASKS = st.sampled_from([hr.mask.hmac(), hr.mask.drop(), hr.mask.truncate(0), hr.mask.truncate(3)])
TOPICS = st.builds(hr.Kafka, TEXTS, st.sampled_from(MESSAGE_FORMATS), st.just(""), st.sampled_from(PARTITIONERS))
STREAMS = st.none() | TOPICS | st.builds(hr.Debezium, TEXTS)


def sources(name: str, starts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    options: dict[str, st.SearchStrategy[Any]] = {
        "schema": st.just(SCHEMA),
        "event_time": st.just("ts"),
        "available_time": st.sampled_from([None, "ts"]),
        "known_after": LENGTHS,
        "timezone": st.sampled_from([None, "Europe/Zurich"]),
        "sequence": st.sampled_from([None, "event_id"]),
        "inclusive": st.booleans(),
        "max_lateness": LENGTHS,
        "max_future": LENGTHS,
        "complete_from": starts,
        "dedupe_on": st.sampled_from([None, "event_id", ["driver_id", "ts"]]),
        "dedupe_within": LENGTHS,
        "required": st.sampled_from([None, "speed", ["speed", "status"]]),
        "contract": st.lists(checks("speed"), max_size=3),
        "personal": st.dictionaries(st.sampled_from(["status", "event_id"]), MASKS),
        "on_added_column": st.sampled_from(["evolve", "quarantine", "stop"]),
        "max_rejected_share": st.floats(0, 1),
        "batch": st.sampled_from([None, hr.Files("in/{date}.csv"), hr.Files("in/{date}", "parquet")]),
        "stream": STREAMS,
        "description": TEXTS,
        "owner": TEXTS,
    }
    keyed = {**options, "primary_key": st.sampled_from(["event_id", ["driver_id", "ts"]])}
    return (
        st.builds(hr.EventSource, st.just(name), **options)
        | st.builds(hr.ChangeSource, st.just(name), **keyed)
        | st.builds(hr.SnapshotSource, st.just(name), **{**keyed, "event_time": st.sampled_from([None, "ts"])})
    )


PAIR = hr.Entity("pair", keys={"driver_id": hr.Int64, "name": hr.String})
TRANSFORMS = st.sampled_from([None, moving, renamed, hr.transform(plain), hr.transform(version="3")(plain)])


@st.composite
def views(draw: st.DrawFn) -> FeatureView:
    source = draw(sources("source_a", st.sampled_from([None, "beginning"])))
    kept = aggregations()
    if not isinstance(source, hr.EventSource):
        kept = kept.filter(lambda feature: feature.rule.on_changes)
    features = draw(st.dictionaries(st.sampled_from(["a", "b", "on", "no"]), kept, min_size=1))
    entity, keys = draw(st.sampled_from([(None, {}), (driver, {}), (PAIR, {"name": "status"})]))
    return hr.FeatureView(
        "view_a",
        entity=entity,
        keys=keys,
        source=source,
        features=features,
        transform=draw(TRANSFORMS),
        event_time=draw(st.sampled_from([None, "ts"])),
        where=draw(WHERE),
        ttl=draw(st.none() | LENGTHS),
        resolution=draw(st.none() | LENGTHS),
        freshness=draw(st.none() | LENGTHS),
        checks=draw(st.lists(checks(next(iter(features))), max_size=2)),
        online=draw(st.booleans()),
        description=draw(TEXTS),
        owner=draw(TEXTS),
        tags=draw(st.lists(TEXTS, max_size=2)),
    )


@st.composite
def projects(draw: st.DrawFn) -> Definitions:
    view = draw(views())
    aliased = view.alias("other", keys=dict.fromkeys(view.entity_keys, "elsewhere"))
    members: list[Any] = [view, view[next(iter(view.features))], aliased]
    member = draw(st.sampled_from(members))
    service = hr.FeatureService("service_a", features=[member, available, driver_now["speed_mean"]], owner=draw(TEXTS))
    unused = draw(sources("source_b", st.just(date(2026, 1, 5)) | st.datetimes(timezones=st.just(UTC))))
    return hr.Definitions.of([service, unused])


def fingerprints(definitions: Definitions) -> dict[tuple[str, str], str]:
    return {(kind, name): fingerprint(item) for kind in KINDS for name, item in definitions.of_kind(kind).items()}


@given(projects())
def test_python_to_yaml_to_python(definitions: Definitions) -> None:
    read = from_yaml(to_yaml(definitions))
    is_equal = read == definitions  # a difference would be shown at length
    assert is_equal, to_yaml(definitions)
    assert fingerprints(read) == fingerprints(definitions)
    assert to_yaml(read) == to_yaml(definitions)


@given(projects())
def test_python_to_json_to_python(definitions: Definitions) -> None:
    text = json.dumps(document_of(definitions))
    is_equal = definitions_of(json.loads(text), resolve=function_at) == definitions
    assert is_equal, text
