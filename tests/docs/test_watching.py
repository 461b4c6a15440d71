"""The dashboard and the alerts beside the documents name metrics that there are."""

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
from tests.stream_statuses import status

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARD = json.loads((DOCS / "grafana" / "stream.json").read_text())
RULES = [
    rule
    for group in yaml.safe_load((DOCS / "grafana" / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
PAGE = (DOCS / "watching.md").read_text()


def texts(found: Any) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(found, dict):
        found = list(found.values())
    if isinstance(found, list):
        for each in found:
            yield from texts(each)
    elif isinstance(found, str):
        yield found


def named(text: str) -> set[str]:
    """The metrics of streams that a text names."""
    return set(re.findall(r"headrace_stream_\w+", text))


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """The labels of each sample's name."""
    families = text_string_to_metric_families(metrics_text(lambda: [status()]).decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def test_the_dashboard_shows_metrics_that_there_are(exported: dict[str, set[str]]) -> None:
    assert named(" ".join(texts(DASHBOARD))) <= exported.keys()


def test_the_alerts_look_at_metrics_that_there_are(exported: dict[str, set[str]]) -> None:
    assert named(" ".join(texts(RULES))) <= exported.keys()


def test_the_page_explains_every_metric_and_no_other(exported: dict[str, set[str]]) -> None:
    assert named(PAGE) == exported.keys()
    explained = dict(re.findall(r"^\| `(headrace_stream_\w+)`(?: \{([^}]*)\})? \|", PAGE, re.MULTILINE))
    further = {name: set(labels.split(", ")) - {""} for name, labels in explained.items()}
    assert further == {name: labels - {"source", "worker"} for name, labels in exported.items()}


def test_the_page_explains_every_alert() -> None:
    assert set(re.findall(r"^\| (Headrace\w+) \|", PAGE, re.MULTILINE)) == {rule["alert"] for rule in RULES}


def test_the_metrics_of_selectors_have_the_labels(exported: dict[str, set[str]]) -> None:
    expressions = " ".join([*texts(RULES), *texts(DASHBOARD)])
    for name, selector in re.findall(r"(headrace_stream_\w+)\{([^}]*)\}", expressions):
        assert set(re.findall(r"(\w+)=~?\"", selector)) <= exported[name], name


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
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
