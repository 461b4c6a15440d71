"""The stack with Docker is the stack without it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_platform.stack import __main__ as command
from data_platform.stack.kafka import SETTINGS
from data_platform.stack.maven import KAFKA_VERSION

# Where the servers listen and keep their data differs.
OF_THE_CONTAINER = {
    "KAFKA_ADVERTISED_LISTENERS",
    "KAFKA_CONTROLLER_QUORUM_VOTERS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_LISTENERS",
    "KAFKA_LOG_DIRS",
}


@pytest.fixture(scope="module")
def services(project_root: Path) -> dict[str, Any]:
    compose = yaml.safe_load((project_root / "compose.yaml").read_text(encoding="utf-8"))
    services: dict[str, Any] = compose["services"]
    return services


def test_kafka_has_the_same_settings(services: dict[str, Any]) -> None:
    environment = services["kafka"]["environment"]
    same = {name: value for name, value in environment.items() if name not in OF_THE_CONTAINER}
    assert same == {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in SETTINGS.items()}
    assert environment.keys() >= OF_THE_CONTAINER


def test_kafka_has_the_same_version(services: dict[str, Any], project_root: Path) -> None:
    pom = (project_root / "data_platform/stack/pom.xml").read_text(encoding="utf-8")
    assert services["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert f"<kafka.version>{KAFKA_VERSION}</kafka.version>" in pom


@pytest.mark.parametrize(
    ("name", "variable", "default"),
    [
        ("kafka", "HEADRACE_STACK_KAFKA_PORT", command.KAFKA_PORT),
        ("redis", "HEADRACE_STACK_REDIS_PORT", command.REDIS_PORT),
    ],
)
def test_the_ports_are_the_same_and_moved_alike(
    services: dict[str, Any], name: str, variable: str, default: int
) -> None:
    (published,) = services[name]["ports"]
    assert published.startswith(f"127.0.0.1:${{{variable}:-{default}}}:")
    named = set(re.findall(r"\$\{(\w+):-(\d+)\}", str(services[name])))
    assert named == {(variable, str(default))}


def test_each_service_is_checked(services: dict[str, Any]) -> None:
    assert all("healthcheck" in service for service in services.values())
