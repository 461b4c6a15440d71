"""The dashboard of a server, the alerts and their page agree with what a server tells Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from headrace.server.stream_metrics import metrics_text
from tests.integration.serving import ping, project, publish, serving
from tests.stream_statuses import status

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = json.loads((DOCS / "grafana" / "headrace.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((DOCS / "grafana" / "serving-alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
PAGE = (DOCS / "monitoring.md").read_text()
ENDINGS = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}


def texts(found: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list):
        for each in found:
            yield from texts(each)
    elif isinstance(found, str):
        yield found


def named(found: Any) -> set[str]:
    """The metrics that a document names, but for those of streams."""
    return set(re.findall(r"headrace_(?!stream_)\w+", " ".join(texts(found))))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a server tells after some requests, right and wrong."""
    root = tmp_path_factory.mktemp("dashboard") / "city"
    publish(project(root), [ping(1, 10, 60)])
    with serving(root) as server:
        for service in ("model", "scaling", "nope"):
            server.ask({"feature_service": service, "entities": {"driver_id": [1, 2], "factor": [1, 2]}})
        server.ask({"feature_service": "model", "entities": {"driver_id": [1, 2]}})
        server.ask({"features": ["driver_now:n"], "entities": {"driver_id": [1]}})
        return server.client.get("/metrics").text


@pytest.fixture(scope="module")
def kinds(text: str) -> dict[str, str]:
    """The kind of each metric; those without a sample too."""
    return dict(re.findall(r"^# TYPE (headrace_\w+) (\w+)$", text, re.MULTILINE))


@pytest.fixture(scope="module")
def samples(kinds: dict[str, str]) -> set[str]:
    """The names under which Prometheus keeps them."""
    return {name + ending for name, kind in kinds.items() for ending in ENDINGS[kind]}


@pytest.fixture(scope="module")
def labels(text: str) -> dict[str, set[str]]:
    """The labels of each that has a sample."""
    families = text_string_to_metric_families(text)
    found = {sample.name: set(sample.labels) for family in families for sample in family.samples}
    return {name: names - {"le"} for name, names in found.items()}


def test_the_dashboard_shows_metrics_that_there_are(samples: set[str]) -> None:
    assert named(DASHBOARD) <= samples


def test_the_dashboard_shows_every_metric(kinds: dict[str, str]) -> None:
    assert {name for name in kinds if not any(shown.startswith(name) for shown in named(DASHBOARD))} == set()


def test_its_metrics_of_streams_are_those_of_streams() -> None:
    families = text_string_to_metric_families(metrics_text(lambda: [status()]).decode())
    exported = {sample.name for family in families for sample in family.samples}
    shown = set(re.findall(r"headrace_stream_\w+", " ".join(texts(DASHBOARD))))
    assert shown
    assert shown <= exported


def test_the_alerts_look_at_metrics_that_there_are(samples: set[str]) -> None:
    assert named([rule["expr"] for rule in RULES]) <= samples


def test_selectors_and_groups_have_the_labels(labels: dict[str, set[str]]) -> None:
    added = {"instance", "le"}  # by Prometheus
    for expression in texts([DASHBOARD["panels"], [rule["expr"] for rule in RULES]]):
        for name, selector in re.findall(r"(headrace_(?!stream_)\w+)\{([^}]*)\}", expression):
            asked = set(re.findall(r"(\w+)[!=]~?\"", selector))
            assert name not in labels or asked <= labels[name] | added, expression
        groups = re.findall(r"by \(([^)]*)\)\s*\(+(?:rate\(|increase\()?(headrace_(?!stream_)\w+)", expression)
        for group, name in groups:
            assert name not in labels or set(re.split(r",\s*", group)) <= labels[name] | added, expression


def test_the_page_explains_every_metric_and_no_other(kinds: dict[str, str], labels: dict[str, set[str]]) -> None:
    explained = dict(re.findall(r"^\| `(headrace_\w+)`(?: \{([^}]*)\})? \|", PAGE, re.MULTILINE))
    assert explained.keys() == kinds.keys()
    for name, said in explained.items():
        for sample in (name, f"{name}_count"):
            if sample in labels:
                assert set(said.split(", ")) - {""} == labels[sample], name


def test_the_page_explains_every_alert() -> None:
    assert set(re.findall(r"^\| (Headrace\w+) \|", PAGE, re.MULTILINE)) == {rule["alert"] for rule in RULES}


def test_the_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    taken = [
        (x, y)
        for each in places
        for x in range(each["x"], each["x"] + each["w"])
        for y in range(each["y"], each["y"] + each["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


def test_expressions_close_what_they_open() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            for one, other in ("()", "[]", "{}"):
                assert target["expr"].count(one) == target["expr"].count(other), target["expr"]
