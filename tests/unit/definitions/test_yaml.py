"""Definitions in YAML: what is written, and what a mistake in it is answered with."""

from __future__ import annotations

import pytest

import headrace as hr
from headrace.definitions.project import Definitions
from headrace.definitions.yaml import from_yaml, to_yaml
from headrace.errors import DefinitionError, HeadraceError
from tests.unit.definitions.examples import available, driver_now, moving, plain, renamed, view

TEXT = """\
entities:
  driver:
    keys: {driver_id: Int64}
sources:
  gps:
    kind: event
    schema: {event_id: String, driver_id: Int64, ts: Timestamp, speed: Float64, status: String}
    event_time: ts
    max_lateness: 10s
    dedupe_on: event_id
    contract:
    - {between: speed, low: 0, high: 70}
    batch: {files: landing/*.parquet, format: parquet}
views:
  driver_now:
    entity: driver
    source: gps
    features:
      last_ping: {last: ts}
      pings: count
      speed_mean:
        mean: speed
        window: {sliding: 5m, hop: 30s}
        where: status = 'free'
    ttl: 10m
    tags: [eta]
services:
  eta_model:
    features:
    - driver_now
    - view: driver_now
      features: [pings]
      alias: other
      keys: {driver_id: other_id}
"""


def test_it_is_read_and_written_as_people_write_it() -> None:
    definitions = from_yaml(TEXT)
    assert to_yaml(definitions) == TEXT
    assert definitions.view("driver_now").features["speed_mean"] == hr.mean(
        "speed", window=hr.sliding("5m", hop="30s"), where="status = 'free'"
    )
    assert definitions.service("eta_model").columns[-1] == "other__pings"


def test_a_time_and_a_day_are_read_as_yaml_writes_them() -> None:
    text = TEXT.replace("max_lateness", "complete_from: 2026-01-05\n    max_lateness").replace(
        "low: 0, high: 70", "low: 2026-01-05"
    )
    with pytest.raises(DefinitionError, match="lifetime count"):
        from_yaml(text)
    assert from_yaml(text.replace("pings: count", "pings: {last: status}")).source("gps").complete_from_us == (
        1_767_571_200_000_000
    )


WRONG = {
    "a section": ("views:", "veiws:", "the document (f.yaml): there is no section 'veiws'. Did you mean 'views'?"),
    "a field": (
        "    ttl:",
        "    tll:",
        "views.driver_now (f.yaml, line 15): there is no key 'tll'. Did you mean 'ttl'?",
    ),
    "a kind": ("kind: event", "kind: evnt", "sources.gps.kind (f.yaml, line 6): there is no kind of source 'evnt'."),
    "a type": ("Int64}", "Int46}", "entities.driver.keys.driver_id (f.yaml, line 3): type 'Int46'"),
    "a source": ("source: gps", "source: gsp", "views.driver_now.source (f.yaml, line 17): there is no source 'gsp'."),
    "an aggregation": (
        "{last: ts}",
        "{lats: ts}",
        "views.driver_now.features.last_ping (f.yaml, line 19): there is no aggregation 'lats'. Did you mean 'last'?",
    ),
    "an option": (
        "where: status",
        "were: status",
        "views.driver_now.features.speed_mean (f.yaml, line 21): there is no option 'were'. Did you mean 'where'?",
    ),
    "a check": ("between: speed", "betwen: speed", "sources.gps.contract[0] (f.yaml, line 12): there is no check"),
    "a column": ("mean: speed", "mean: spede", "view 'driver_now', feature 'speed_mean': there is no column 'spede'."),
    "a reference's key": ("alias: other", "alais: other", "services.eta_model.features[1] (f.yaml, line 31)"),
    "a feature": ("features: [pings]", "features: [pins]", "there is no feature 'pins'. Did you mean 'pings'?"),
    "a missing option": (", hop: 30s", "", "features.speed_mean.window (f.yaml, line 23): sliding needs 'hop'."),
    "a missing value": ("{last: ts}", "last", "last_ping (f.yaml, line 19): last needs a value"),
    "a missing field": ("    event_time: ts\n", "", "sources.gps (f.yaml, line 5): 'event_time' is needed."),
    "an empty field": (
        "source: gps",
        "source:",
        "views.driver_now.source (f.yaml, line 17): expected text, found None",
    ),
    "an empty time": ("event_time: ts", "event_time:", "sources.gps.event_time (f.yaml, line 8): expected text"),
    "a value too much": ("pings: count", "pings: {count: speed, n: 3}", "there is no option 'n'"),
    "two aggregations": ("{last: ts}", "{last: ts, first: ts}", "last and first stand together"),
    "a malformed length": ("hop: 30s", "hop: 30x", "speed_mean.window.hop (f.yaml, line 23): '30x' is no duration"),
    "a length without unit": ("ttl: 10m", "ttl: 600", "views.driver_now.ttl (f.yaml, line 25): expected a length"),
    "no list": ("tags: [eta]", "tags: eta", "views.driver_now.tags (f.yaml, line 26): expected a list, found 'eta'."),
    "no mapping": ("keys: {driver_id: Int64}", "keys: [driver_id]", "expected a mapping of names to values"),
    "no text": ("event_time: ts", "event_time: 3", "sources.gps.event_time (f.yaml, line 8): expected text, found 3"),
    "a key that YAML reads as true": ("pings: count", "on: count", "the key True is no text: put it in quotes."),
    "a key that stands twice": (
        "    ttl: 10m\n",
        "    ttl: 10m\n    ttl: 5m\n",
        "views.driver_now.ttl (f.yaml, line 26): the key stands twice, first in line 25.",
    ),
    "broken YAML": ("tags: [eta]", "tags: [eta", "f.yaml is no valid YAML: "),
    "keys without alias": (
        "      alias: other\n",
        "",
        "services.eta_model.features[1] (f.yaml, line 31): 'keys' needs",
    ),
    "an unknown module": (
        "    ttl: 10m\n",
        "    transform: nowhere.function\n",
        "views.driver_now.transform (f.yaml, line 25): 'nowhere.function': there is no module 'nowhere'",
    ),
    "an unknown function": (
        "    ttl: 10m\n",
        "    transform: math.sqr\n",
        "math: there is no function 'sqr'. Did you mean",
    ),
    "a thing that is no function": (
        "    ttl: 10m\n",
        "    transform: math.pi\n",
        "'math.pi' is float, not a function.",
    ),
    "a path without a module": ("    ttl: 10m\n", "    transform: sqrt\n", "'sqrt' is no dotted path"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_placed(case: str) -> None:
    right, wrong, message = WRONG[case]
    assert TEXT.count(right) == 1
    with pytest.raises(HeadraceError) as caught:
        from_yaml(TEXT.replace(right, wrong), name="f.yaml")
    assert str(caught.value).count(message) == 1


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "views:\n", "{}"])
def test_nothing_defines_nothing(text: str) -> None:
    assert from_yaml(text) == Definitions()


@pytest.mark.parametrize("text", ["- a", "5", "a text"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(DefinitionError, match="the document: expected a mapping"):
        from_yaml(text)


def test_functions_are_named_by_their_path() -> None:
    definitions = hr.Definitions.of([available, view(transform=renamed)])
    text = to_yaml(definitions)
    assert "transform: {function: tests.unit.definitions.examples.renamed, version: '2'}" in text
    assert "function: tests.unit.definitions.examples.available" in text
    assert from_yaml(text) == definitions


def test_a_plain_function_can_be_a_transform() -> None:
    text = to_yaml(hr.Definitions.of([view(transform=moving)])).replace("examples.moving", "examples.plain")
    assert from_yaml(text).view("v").transform == hr.transform(plain)


def test_an_on_demand_feature_is_found_among_a_services_features() -> None:
    service = hr.FeatureService("s", features=[driver_now["last_ping"], available])
    assert from_yaml(to_yaml(hr.Definitions.of([service]))).service("s") == service


def test_an_unknown_on_demand_feature_is_refused() -> None:
    text = TEXT + "    - {on_demand: availble}\n"
    with pytest.raises(DefinitionError, match="there is no on_demand 'availble'"):
        from_yaml(text)


def test_a_document_that_holds_itself_is_refused() -> None:
    with pytest.raises(DefinitionError, match="entities"):
        from_yaml("entities: &a\n  driver: *a\n")
