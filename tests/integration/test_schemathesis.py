"""Schemathesis against the running server: requests made from its own description, right ones and wrong ones."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import from_schema
from schemathesis.engine.events import FatalError, NonFatalError, ScenarioFinished

from tests.integration.serving import Serving, serving
from tests.integration.v1_project import city

PHASES = {"stateful": {"enabled": False}}
NEEDED_BY_FEATURES = {  # which columns are needed depends on the features that are named: no schema says that
    "include-name": "POST /get-online-features",
    "checks": {"positive_data_acceptance": {"enabled": False}},
}
WRITES = {  # times that are the wrong way round, and members that Feast's clients send beside
    "include-path-regex": "^/(materialize|push)",
    "checks": {"positive_data_acceptance": {"enabled": False}, "negative_data_rejection": {"enabled": False}},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    platform, _ = city(tmp_path_factory.mktemp("described") / "city")
    with serving(platform.context.root) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def hooked() -> Iterator[None]:
    """For this module alone: hooks of calls are global."""
    schemathesis.hook("before_call")(aligned)
    yield
    schemathesis.hooks.unregister(aligned)


@dataclass(slots=True)
class Tally:
    """What was tried, and what came of it."""

    cases: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, event: ScenarioFinished) -> None:
        recorder = event.recorder
        self.cases[str(event.phase.value)] += len(recorder.interactions)
        for interaction in recorder.interactions.values():
            self.statuses[interaction.response.status_code if interaction.response else 0] += 1
        for case_id, checks in recorder.checks.items():
            for check in checks:
                self.checks[check.name] += 1
                if check.failure_info is not None:
                    told = recorder.cases[case_id].value.as_curl_command()
                    failure = check.failure_info.failure
                    self.failures.append(f"{recorder.label}, {check.name}: {failure.title} {failure.message}\n{told}")


def aligned(context: Any, case: Any, kwargs: Any) -> None:
    """Columns of one length and whole numbers without a point, which JSON Schema can't ask for."""
    entities = case.body.get("entities") if isinstance(case.body, dict) else None
    if not isinstance(entities, dict) or not all(isinstance(column, list) for column in entities.values()):
        return
    longest = max(map(len, entities.values()), default=0)
    case.body["entities"] = {
        name: [_whole(value) for value in column] + [None] * (longest - len(column))
        for name, column in entities.items()
    }


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def tried(server: Serving, examples: int, seconds: float, without: str = "nothing") -> Tally:
    """Run all checks on what the server describes, but for paths that a pattern names."""
    config = SchemathesisConfig.from_dict({
        "seed": 7, "generation": {"max-examples": examples}, "phases": PHASES,
        "operations": [NEEDED_BY_FEATURES, WRITES],
    })  # fmt: skip
    schema = schemathesis.openapi.from_url(f"{server.client.base_url}/openapi.json", config=config).exclude(
        path_regex=without
    )
    tally, began = Tally(), time.monotonic()
    for event in from_schema(schema).execute():
        assert not isinstance(event, FatalError | NonFatalError), event
        if isinstance(event, ScenarioFinished):
            tally.add(event)
        assert time.monotonic() - began < seconds, tally
    return tally


def judged(server: Serving, tally: Tally, capsys: pytest.CaptureFixture[str]) -> None:
    """Print the tally, and take no failure."""
    total = sum(tally.cases.values())
    with capsys.disabled():
        print(f"\nschemathesis: {total:,} cases, {dict(tally.cases)}, statuses {dict(sorted(tally.statuses.items()))}")
    assert not tally.failures, "\n\n".join(tally.failures[:10])
    assert not [status for status in tally.statuses if status == 0 or status >= 500]
    assert {"not_a_server_error", "response_schema_conformance", "negative_data_rejection"} <= set(tally.checks)
    assert tally.statuses[200] > 100
    assert server.client.get("/health").json() == {"status": "up"}


def test_all_that_is_described_holds(server: Serving, capsys: pytest.CaptureFixture[str]) -> None:
    tally = tried(server, examples=5, seconds=60, without=r"^/v1/(features/(model|values|places|pinned)|lineage/[^p])")
    assert sum(tally.cases.values()) > 800
    judged(server, tally, capsys)


@pytest.mark.thorough
def test_all_that_is_described_holds_for_many_more_requests(
    server: Serving, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = tried(server, examples=150, seconds=240)
    assert sum(tally.cases.values()) > 3_000
    judged(server, tally, capsys)
