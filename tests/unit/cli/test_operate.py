"""Versions, audits, holds and rollbacks, as a person on duty sees and does them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from headrace.cli.main import app
from headrace.types import DAY, SECOND
from tests.integration.pings import FEATURES, START, project, put

CHECKED = FEATURES.replace(
    'ttl="2h", features', 'ttl="2h", freshness="1h", checks=[hr.check.between("n", 0, MOST)], features'
)


class City:
    """A project of one view with a check, and commands on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.platform = project(root)
        self.allow(50)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, [*arguments, "--project", str(self.root)], env={"COLUMNS": "240"})

    def done(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def allow(self, most: int) -> None:
        (self.root / "features.py").write_text(CHECKED.replace("MOST", str(most)))
        self.done("apply")

    def day(self, day: int, n: int) -> None:
        """Ten pings of one driver on one day."""
        put(self.platform, [ping(day, place, n) for place in range(10)])


def ping(day: int, place: int, n: int) -> dict[str, Any]:
    ts = START + day * DAY + place * 600 * SECOND
    return {"ping_id": f"{day}-{place}-{n}", "driver_id": 7, "ts": ts, "seen_at": ts, "speed": 2.0, "n": n}


def row(text: str, first: str) -> list[str]:
    """The cells of the line that begins with a word."""
    (line,) = [line for line in text.splitlines() if line.split()[:1] == [first]]
    return line.split()


@pytest.fixture
def city(tmp_path: Path) -> City:
    made = City(tmp_path / "city")
    made.day(0, n=5)
    made.done("backfill")
    return made


@pytest.fixture
def two_versions(city: City) -> City:
    city.day(1, n=9)
    assert row(city.done("backfill"), "driver_now")[-2] == "2"
    return city


def test_versions_before_any(tmp_path: Path) -> None:
    shown = City(tmp_path / "new").done("versions", "driver_now")
    assert shown == "driver_now was never published: headrace backfill driver_now\n"


def test_versions_tell_what_is_served(two_versions: City) -> None:
    shown = two_versions.done("versions", "driver_now")
    assert row(shown, "1")[-1] == "passed"
    assert row(shown, "2")[-2:] == ["passed", "serving"]
    assert "backfill" in row(shown, "2")
    assert "Held" not in shown


def test_an_unknown_view_is_told(city: City) -> None:
    result = city.run("versions", "driver_then")
    assert result.exit_code == 1
    assert "Did you mean 'driver_now'?" in " ".join(result.stderr.split())


def test_rollback_holds_until_release(two_versions: City) -> None:
    city = two_versions
    shown = city.done("rollback", "driver_now", "--reason", "the meter was broken")
    assert "version 3 has the content of version 1" in shown
    assert "headrace release driver_now" in shown

    versions = city.done("versions", "driver_now")
    assert row(versions, "3")[-2:] == ["serving,", "held"]
    assert "rollback" in row(versions, "3")
    assert "the meter was broken" in versions
    assert "driver_now: held: the meter was broken. Then: headrace release driver_now" in city.done("status")

    refused = city.run("backfill", "driver_now")
    assert refused.exit_code == 1
    assert "headrace release driver_now" in " ".join(refused.stderr.split())

    assert "the meter was broken" in city.done("release", "driver_now")
    assert row(city.done("backfill", "driver_now"), "driver_now")[-2] == "4"
    assert city.done("release", "driver_now") == "driver_now was not held.\n"


def row_text(text: str, first: str) -> str:
    return " ".join(row(text, first))


def test_rollback_to_a_named_version_and_to_one_that_is_not_there(two_versions: City) -> None:
    missing = two_versions.run("rollback", "driver_now", "8")
    assert missing.exit_code == 1
    assert "no version '8'" in missing.stderr
    assert "content of version 1" in two_versions.done("rollback", "driver_now", "1")


def test_hold_needs_a_reason_and_stops_backfills(city: City) -> None:
    assert city.run("hold", "driver_now").exit_code == 2
    assert "an experiment" in city.done("hold", "driver_now", "--reason", "an experiment")
    city.day(1, n=9)
    refused = city.run("backfill", "driver_now")
    assert refused.exit_code == 1
    assert "an experiment" in refused.stderr


def test_check_passes_and_names_each_check(city: City) -> None:
    shown = city.done("check", "driver_now")
    assert "driver_now, version 1: passed" in shown
    assert "passed  n between 0 and 50" in shown


def test_check_of_what_was_never_published(tmp_path: Path) -> None:
    assert "headrace backfill driver_now" in City(tmp_path / "new").done("check", "driver_now")


def test_a_rejected_candidate_is_shown_and_readers_keep_what_they_had(city: City) -> None:
    city.day(1, n=99)
    rejected = city.run("backfill", "driver_now")
    assert rejected.exit_code == 1

    shown = city.done("check", "driver_now")
    assert "driver_now, version 1: passed" in shown
    assert "Rejected at" in shown
    assert "fails  n between 0 and 50: " in shown
    failing = [line for line in shown.splitlines() if line.startswith("7 ") or " 99 " in line]
    assert failing

    versions = city.done("versions", "driver_now")
    assert row(versions, "1")[-1] == "serving"
    assert "Rejected; see headrace check driver_now" in versions


def test_a_check_that_became_stricter_fails_on_what_is_published(city: City) -> None:
    city.allow(4)
    result = city.run("check", "driver_now", "-n", "2")
    assert result.exit_code == 1
    assert "driver_now, version 1: FAILED" in result.stdout
    assert "The first 2 failing steps" in result.stdout


def test_vacuum_says_what_would_go_and_then_takes_it(two_versions: City) -> None:
    would = row(two_versions.done("vacuum", "driver_now", "--keep", "1", "--dry-run"), gold_table(two_versions))
    taken = row(two_versions.done("vacuum", "driver_now", "--keep", "1"), gold_table(two_versions))
    assert taken[1:] == would[1:]
    assert int(taken[1]) == 0 or "vacuumed" in two_versions.done("versions", "driver_now")


def gold_table(city: City) -> str:
    from headrace.definitions.fingerprint import view_fingerprint

    return f"gold/driver_now/{view_fingerprint(city.platform.definitions.view('driver_now'))}"


def test_status_tells_version_and_age(city: City) -> None:
    line = row_text(city.done("status"), "driver_now")
    assert line.startswith("driver_now 1 2026-")
    assert "ago: STALE" in line


def test_one_view_that_fails_does_not_keep_the_others_back(city: City) -> None:
    city.done("hold", "driver_now", "--reason", "a test")
    result = city.run("backfill")
    assert result.exit_code == 1
    assert "Backfilled" in result.stdout or "Nothing was backfilled" in result.stdout
    assert "'driver_now' is held" in " ".join(result.stderr.split())
