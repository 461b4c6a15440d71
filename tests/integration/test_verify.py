"""Offline, online and recomputed values agree, and where they don't the cause is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from headrace.cli.main import app
from headrace.errors import UnknownNameError
from headrace.platform import Platform
from headrace.platform.gold import Gold
from headrace.quality.masking import KEY_VARIABLE
from headrace.types import DAY
from tests.integration import verify_faults
from tests.integration.verify_faults import FAULTS, VIEW, Fault
from tests.integration.verifying import END, FEATURES, START, Clock, filled, lines, pings, project, put

Opener = Callable[..., Platform]


@pytest.fixture(scope="module", autouse=True)
def _mask_key() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KEY_VARIABLE, "a key for these tests alone")
        yield


@pytest.fixture(scope="module")
def published(_mask_key: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with four published days, which is copied."""
    root = tmp_path_factory.mktemp("verify") / "project"
    filled(root).context.online.close()
    return root


@pytest.fixture
def opened(published: Path, tmp_path: Path) -> Iterator[Opener]:
    """Opens a copy of the project, again and again, and closes its store."""
    root, made = tmp_path / "project", []
    shutil.copytree(published, root)

    def again(clock: Clock | None = None) -> Platform:
        made.append(Platform.open(root, clock=clock or Clock()))
        return made[-1]

    yield again
    for platform in made:
        platform.context.online.close()


@pytest.fixture
def platform(opened: Opener) -> Platform:
    return opened()


def test_all_kinds_of_sources_and_views_agree(platform: Platform) -> None:
    for view in platform.definitions.views.values():
        found = platform.verify(view.name, comparisons=5_000)
        assert found.by_cause == {}, lines(found)
        assert found.equal == found.comparisons > 4_000
        assert (found.online_comparisons > 1_000) is view.online
        assert found.version is not None
        assert found.online == (found.version if view.online else None)


def test_the_sample_is_that_of_the_seed(opened: Opener) -> None:
    verify_faults.lose_records(opened())
    one, same, other = (opened().verify(VIEW, times=30, seed=seed).differences for seed in (1, 1, 2))
    assert one == same != other


def test_entities_that_gold_has_lost_are_noticed(platform: Platform) -> None:
    """A driver of whom silver has rows and gold no step."""
    put(platform, "pings", [row | {"ping_id": f"x{i}", "driver_id": 77} for i, row in enumerate(pings(5, day=1, n=3))])
    found = platform.verify(VIEW, entities=9)
    assert {difference.key["driver_id"] for difference in found.differences} == {77}
    assert set(found.by_cause) == {"late row"}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.make.__name__)
def test_faults_are_named(opened: Opener, fault: Fault) -> None:
    fault.make(opened())
    found = opened(fault.clock).verify(fault.view, times=60)
    assert set(found.by_cause) == {fault.cause}, lines(found)
    assert found.by_cause[fault.cause] == found.comparisons - found.equal
    assert {difference.cause for difference in found.differences} == {fault.cause}


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.cause == "unexplained"], ids=lambda f: f.make.__name__
)
def test_the_command_fails_and_says_what_is_wrong(opened: Opener, fault: Fault) -> None:
    platform = opened()
    fault.make(platform)
    done = CliRunner().invoke(app, ["verify", VIEW, "--times", "60", "--project", str(platform.context.root)])
    assert done.exit_code == 1
    found = opened().verify(VIEW, times=60)
    count, first = found.unexplained, found.differences[0]
    assert f"driver_now: {count:,} differ: unexplained\n  {first}\n" in done.output
    assert f"driver_id={first.key['driver_id']} at 2026-01-" in str(first)
    assert f", {first.feature}: " in str(first)


def test_late_rows_do_not_excuse_what_they_do_not_explain(platform: Platform) -> None:
    verify_faults.ingest_late_rows(platform)
    verify_faults.tamper_with_gold(platform)
    found = platform.verify(VIEW, times=60)
    assert set(found.by_cause) == {"late row", "unexplained"}
    assert {each.feature for each in found.differences if each.cause == "unexplained"} == {"n"}


@pytest.mark.parametrize(("by", "differs"), [(1e-12, False), (1e-6, True)])
def test_floats_differ_by_more_than_the_order_of_merging(platform: Platform, by: float, differs: bool) -> None:
    verify_faults.rewrite_gold(platform, pl.col("speed_1h") * (1 + by))
    found = platform.verify(VIEW, comparisons=20_000)
    assert set(found.by_cause) == ({"unexplained"} if differs else set())
    assert {each.feature for each in found.differences} == ({"speed_1h"} if differs else set())


def test_a_changed_ttl_reaches_the_store_with_a_whole_load(opened: Opener) -> None:
    verify_faults.change_the_ttl(opened())
    opened().materialize(VIEW, whole=True)
    assert opened().verify(VIEW, times=60).by_cause == {}


def test_the_command_verifies_all_views_and_passes_what_is_explained(opened: Opener) -> None:
    platform = opened()
    verify_faults.ingest_late_rows(platform)
    done = CliRunner().invoke(
        app, ["verify", "--times", "20", "--project", str(platform.context.root)], env={"COLUMNS": "200"}
    )
    assert done.exit_code == 0, done.output
    for view in platform.definitions.views:
        assert view in done.output
    assert "differ: late row\n" in done.output


@pytest.mark.parametrize("fault", FAULTS[:2], ids=lambda fault: fault.make.__name__)
def test_the_remedy_makes_all_agree_again(opened: Opener, fault: Fault) -> None:
    platform = opened()
    fault.make(platform)
    opened().backfill(VIEW)
    opened().materialize(VIEW)
    found = opened().verify(VIEW, times=60)
    assert found.by_cause == {}, lines(found)


def test_after_a_rollback_both_lanes_have_the_older_content(platform: Platform) -> None:
    platform.rollback(VIEW, 2)
    found = platform.verify(VIEW, comparisons=5_000)
    assert (found.version, found.online) == (5, 5)
    assert found.by_cause == {}, lines(found)


def test_what_is_computed_in_the_middle_stands_beside_what_is_stale(platform: Platform) -> None:
    """Only the second day lacks the rows that came late; the fourth was computed again, and knows them."""
    verify_faults.ingest_late_rows(platform)
    platform.backfill(VIEW, start=START + 3 * DAY, end=END)
    found = platform.verify(VIEW, comparisons=5_000)
    assert set(found.by_cause) == {"late row"}, lines(found)


def test_a_span_behind_a_gap_begins_with_what_it_knows(tmp_path: Path) -> None:
    """Between the two spans rows of the first one came late; then rows of the second."""
    platform = project(tmp_path / "project")
    put(platform, "pings", pings(1, day=0))
    platform.backfill(VIEW, end=START + 2 * DAY)
    put(platform, "pings", [row | {"ping_id": f"x{i}", "driver_id": 77} for i, row in enumerate(pings(5, day=0, n=9))])
    platform.backfill(VIEW, start=START + 3 * DAY, end=END)
    put(platform, "pings", [row | {"ping_id": f"y{i}", "driver_id": 77} for i, row in enumerate(pings(6, day=3, n=9))])
    found = platform.verify(VIEW, comparisons=5_000)
    assert set(found.by_cause) == {"late row"}, lines(found)
    platform.context.online.close()


def test_a_definition_that_was_never_published_is_verified_as_it_is_served(opened: Opener) -> None:
    platform = opened()
    _redefine(platform.context.root, '"kinds": hr.count_distinct("n")', '"kinds": hr.count_distinct("zone")')
    found = opened().verify(VIEW, times=40)
    assert found.version == 4
    assert found.by_cause == {}, lines(found)


def test_a_definition_that_lags_behind_is_not_what_is_served_online(opened: Opener) -> None:
    platform = opened()
    _redefine(platform.context.root, '"kinds": hr.count_distinct("n")', '"kinds": hr.count_distinct("zone")')
    again = opened()
    again.apply()
    again.backfill(VIEW, end=START + 2 * DAY)
    found = again.verify(VIEW, times=60)
    assert (found.version, found.online) == (5, 4)
    assert set(found.by_cause) == {"version"}, lines(found)


def test_a_view_that_was_never_published_has_nothing_to_compare(tmp_path: Path) -> None:
    found = project(tmp_path / "new").verify(VIEW)
    assert (found.version, found.comparisons, found.by_cause) == (None, 0, {})


def test_without_anything_online_the_other_two_are_compared(opened: Opener) -> None:
    platform = opened()
    store = platform.context.online
    store.delete_many([key for key, _ in store.scan(b"")])
    found = platform.verify(VIEW, times=30)
    assert (found.online, found.online_comparisons, found.by_cause) == (None, 0, {})
    assert found.comparisons > 1_000


def test_a_record_of_rows_that_cancel_is_compared_by_the_size_of_its_rows(tmp_path: Path) -> None:
    """1e15 and -1e15 leave a small sum, whose error is that of the large ones."""
    platform = project(tmp_path / "project")
    put(platform, "pings", [row | {"speed": [1e15, -1e15, 0.3][i % 3]} for i, row in enumerate(pings(1, day=0, n=600))])
    platform.backfill(VIEW)
    sums = Gold.of(platform.context, platform.definitions.view(VIEW)).scan().collect()["speed"]
    assert sums.abs().min() < 1e5  # type: ignore[operator]
    found = platform.verify(VIEW, comparisons=20_000)
    assert found.by_cause == {}, lines(found)
    platform.context.online.close()


def test_an_unknown_view_is_refused(platform: Platform) -> None:
    with pytest.raises(UnknownNameError, match="driver_now"):
        platform.verify("driver_nwo")


def test_a_million_values_take_less_than_a_minute(platform: Platform) -> None:
    found = platform.verify(VIEW, comparisons=1_000_000)
    assert found.comparisons >= 900_000
    assert found.by_cause == {}, lines(found)
    assert found.seconds < 60


def _redefine(root: Path, old: str, new: str) -> None:
    assert old in FEATURES
    (root / "features.py").write_text(FEATURES.replace(old, new))


def test_a_view_that_takes_no_row_has_the_entities_of_silver(tmp_path: Path) -> None:
    platform = project(tmp_path / "project", features=FEATURES.replace('where="n > 3"', 'where="n > 1000"'))
    put(platform, "pings", pings(1, day=0))
    platform.backfill("place_now")
    found = platform.verify("place_now", times=20)
    assert found.by_cause == {}
    assert found.comparisons == found.equal > 0
    platform.context.online.close()
