"""A small simulation, written once in each GPS format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from data_platform.simulator import City, FaultShares, Written

SHARES = FaultShares(
    late=0.02, duplicate=0.02, corrupt=0.02, future=0.01, unparseable=0.01, ride_duplicate=0.02, ride_truncated=0.01
)
DAYS = 2


@dataclass(frozen=True)
class Simulation:
    city: City
    root: Path
    written: Written


def _simulate(root: Path, gps_format: Literal["parquet", "jsonl"]) -> Simulation:
    city = City(seed=3, drivers=80, ping_interval_s=60, faults=SHARES)
    return Simulation(city, root, city.write(root, DAYS, gps_format))


@pytest.fixture(scope="session")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return _simulate(tmp_path_factory.mktemp("parquet"), "parquet")


@pytest.fixture(scope="session")
def json_simulation(tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    return _simulate(tmp_path_factory.mktemp("jsonl"), "jsonl")
