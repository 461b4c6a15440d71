"""``headrace get`` and ``materialize``, as a person uses them; the server has its own tests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headrace.cli.main import app
from headrace.definitions.fingerprint import view_fingerprint
from headrace.online.record_keys import record_key
from headrace.platform import Platform
from headrace.types import SECOND, Int64, instant_text
from tests.integration.pings import put
from tests.integration.serving import GLOBAL, ping, project, publish

LONG_AGO = 3 * 3_600


def run(platform: Platform, *arguments: str) -> Result:
    project = str(platform.context.root)
    return CliRunner().invoke(app, [*arguments, "--project", project], env={"COLUMNS": "240"})


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Platform:
    platform = project(tmp_path_factory.mktemp("get") / "city", GLOBAL)
    publish(platform, [ping(7, 5, LONG_AGO), ping(7, 4, 60), ping(8, 3, LONG_AGO, "a,b")])
    return platform


def test_get_shows_a_line_a_feature_and_why_values_are_absent(city: Platform) -> None:
    done = run(city, "get", "model", "driver_id=7", "driver_id=8", "driver_id=404")
    assert done.exit_code == 0, done.output
    rows = {cells[0]: cells[1:] for line in done.stdout.splitlines() if (cells := line.split())}
    assert rows["feature"] == ["driver_id=7", "driver_id=8", "driver_id=404"]
    assert rows["driver_now__rows"] == ["2", "1", "NOT_FOUND"]
    assert rows["driver_now__n"] == ["4", "OUTSIDE_MAX_AGE", "NOT_FOUND"]


def test_get_takes_composite_keys_with_commas_in_them(city: Platform) -> None:
    done = run(city, "get", "places", "driver_id=8,zone=a,b", "zone=x,driver_id=7", "--json")
    assert done.exit_code == 0, done.output
    one, two = json.loads(done.stdout)
    assert (one["zone"], one["place_now__rows"], one["statuses"]["place_now__rows"]) == ("a,b", 1, "PRESENT")
    assert two["place_now__rows"] == 2


def test_get_takes_request_columns_beside_keys(city: Platform) -> None:
    done = run(city, "get", "scaling", "driver_id=7,factor=10", "--json")
    assert json.loads(done.stdout)[0]["scaled__product"] == 90


def test_get_of_a_view_without_an_entity(city: Platform) -> None:
    done = run(city, "get", "city", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)[0]["city_now__pings"] == 3


def test_get_at_another_time(city: Platform) -> None:
    """The newest row is a minute old, and may be two hours old."""
    later = instant_text(city.context.clock() + LONG_AGO * SECOND)
    (now,) = json.loads(run(city, "get", "model", "driver_id=7", "--json").stdout)
    (then,) = json.loads(run(city, "get", "model", "driver_id=7", "--json", "--at", later).stdout)
    assert (now["driver_now__n"], then["driver_now__n"]) == (4, None)
    assert then["statuses"]["driver_now__n"] == "OUTSIDE_MAX_AGE"
    assert then["driver_now__total"] == 9


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["modle", "driver_id=7"], 1, "Did you mean 'model'?"),
        (["model"], 1, "'driver_id' is missing"),
        (["model", "driver=7"], 1, "Did you mean 'driver_id'?"),
        (["model", "driver_id=x"], 1, "'x' is no Int64"),
        (["scaling", "driver_id=7"], 1, "'factor' is missing"),
        (["model", "7"], 2, "write e.g. driver_id=101"),
    ],
)
def test_get_of_nobody(city: Platform, arguments: list[str], code: int, message: str) -> None:
    done = run(city, "get", *arguments)
    assert done.exit_code == code
    assert message in " ".join(done.stderr.split())


def test_materialize_fills_a_store_that_is_gone(tmp_path: Path) -> None:
    platform = project(tmp_path / "city")
    publish(platform, [ping(7, 5, 60)])
    platform.context.online.close()
    shutil.rmtree(platform.context.root / "online")
    assert run(platform, "get", "model", "driver_id=7").exit_code == 1

    done = run(platform, "materialize")
    assert done.exit_code == 0, done.output
    cells = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[2:]}
    assert {name: found[:2] for name, found in cells.items()} == {"driver_now": ["1", "1"], "place_now": ["1", "1"]}
    assert json.loads(run(platform, "get", "model", "driver_id=7", "--json").stdout)[0]["driver_now__total"] == 5

    again = run(platform, "materialize", "driver_now")
    assert again.stdout.splitlines()[2].split()[:3] == ["driver_now", "1", "0"]
    whole = run(platform, "materialize", "driver_now", "--whole")
    assert whole.stdout.splitlines()[2].split()[2] == "1"


def test_verify_explains_differences_and_fails_where_it_can_not(tmp_path: Path) -> None:
    platform = project(tmp_path / "city")
    assert "headrace backfill driver_now" in run(platform, "verify", "driver_now").stdout
    publish(platform, [ping(7, 5, 60), ping(8, 3, 30)])
    clean = run(platform, "verify", "driver_now")
    assert clean.exit_code == 0, clean.output
    assert "version 1 offline, version 1 online" in clean.stdout
    assert "differ" not in clean.stdout

    put(platform, [ping(7, 2, 50)])
    late = run(platform, "verify", "driver_now", "-n", "1")
    assert late.exit_code == 0
    assert "differ: late row\n  driver_id=7 at " in late.stdout

    view, store = platform.definitions.views["driver_now"], platform.context.online
    one, other = (record_key(view_fingerprint(view), (driver,), (Int64,)) for driver in (7, 8))
    assert one is not None
    assert other is not None
    (wrong,) = store.get_many([other])
    assert wrong is not None
    store.put_many([(one, wrong)])
    forged = run(platform, "verify", "driver_now")
    assert forged.exit_code == 1
    assert "differ: unexplained\n  driver_id=7 at " in forged.stdout
