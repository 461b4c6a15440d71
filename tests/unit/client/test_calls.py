"""Requests in parts, and what is loaded for all that."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace_client import AsyncClient, Features, Unavailable
from headrace_client.calls import Calls
from headrace_client.retrying import Outcome, Reply, Retrying, Send, Wait
from tests.integration.wayward import answer, wayward

CLIENT = Path(__file__).parents[3] / "clients" / "python"
DRIVERS = [*range(25)]


def answered(version_of: Callable[[int], int], retries: int = 2) -> tuple[Features, list[dict[str, Any]]]:
    """The answer to a request in three parts, of which request n is answered from some version; and all requests."""
    plan = Calls(5, Retrying(retries), 10, knows_types=False).features("m", {"k": DRIVERS}, None, False, None)
    asked: list[dict[str, Any]] = []
    outcome: Outcome = None
    try:
        while True:
            action = plan.send(outcome)
            assert not isinstance(action, Wait)
            assert isinstance(action, Send)
            assert action.body is not None
            asked.append(json.loads(action.body))
            keys = asked[-1]["entities"]["k"]
            plain = {"statuses": ["PRESENT"] * len(keys), "event_timestamps": ["1970-01-01T00:00:00Z"] * len(keys)}
            results = [{"values": keys, **plain}, {"values": [10 * key for key in keys], **plain}]
            metadata = {"feature_names": ["k", "f"], "views": {"v": {"version": version_of(len(asked))}}}
            outcome = Reply(200, {}, json.dumps({"metadata": metadata, "results": results}).encode())
    except StopIteration as end:
        return end.value, asked


def test_parts_are_asked_in_order_for_one_time() -> None:
    found, asked = answered(lambda n: 1)
    assert found.columns() == {"k": DRIVERS, "f": [10 * key for key in DRIVERS]}
    assert [len(each["entities"]["k"]) for each in asked] == [10, 10, 5]
    assert len({each["at"] for each in asked}) == 1


def test_parts_of_two_versions_are_asked_again() -> None:
    found, asked = answered(lambda n: 1 if n < 3 else 2)
    assert found.versions == {"v": 2}
    assert found.columns()["f"] == [10 * key for key in DRIVERS]
    assert len(asked) == 6


def test_parts_that_never_agree_are_no_answer() -> None:
    with pytest.raises(Unavailable, match="never got all of them from the same versions"):
        answered(lambda n: n)


def test_an_async_client_may_be_used_from_several_loops() -> None:
    with wayward([answer({"status": "up"})]) as server:
        client = AsyncClient(server.url, timeout_seconds=30)

        async def twice() -> None:
            await asyncio.gather(client.health(), client.health())
            await client.close()

        for _ in range(3):
            asyncio.run(twice())
        assert len(server.paths) == 6


def test_httpx_is_all_that_it_needs() -> None:
    program = (
        "import sys; before = set(sys.modules); import headrace_client;"
        "names = {name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names);"
        "import httpx; print(sorted(names - {'httpx', 'headrace_client'}))"
    )
    path = {"PYTHONPATH": str(CLIENT / "src")}
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=path)
    loaded = set(eval(run.stdout))
    assert not loaded & {"headrace", "msgspec", "numpy", "pandas", "polars", "pyarrow", "pydantic", "requests"}


def test_it_is_a_distribution_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=CLIENT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("headrace_client-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"headrace_client/__init__.py", "headrace_client/py.typed"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    metadata = zipfile.ZipFile(wheel).read(next(name for name in names if name.endswith("/METADATA"))).decode()
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert required == ["Requires-Dist: httpx<1,>=0.27"]
