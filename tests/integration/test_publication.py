"""Write, audit, publish: nobody ever reads what was not audited, and what is read can be taken back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headrace.definitions.views import FeatureView
from headrace.errors import (
    AuditError,
    ConflictError,
    HeadraceError,
    HeldError,
    LakeError,
    NotAppliedError,
    UnknownNameError,
    VersionGoneError,
)
from headrace.platform import Platform
from headrace.platform.candidate import candidates
from headrace.platform.gold import Gold, state_folder
from headrace.platform.online_heads import read_head
from headrace.testing import steps
from headrace.types import DAY
from tests.integration.pings import START, gold, put
from tests.integration.publishing import (
    CHECKED,
    DAYS,
    checked,
    labels,
    numbers,
    poisoned,
    publish_days,
    redefined,
)

END = START + 3 * DAY
ROOT = Path(__file__).parents[2]


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    made = checked(tmp_path / "project")
    publish_days(made, 0, 2)
    return made


def of_days(platform: Platform, last: int) -> pl.DataFrame:
    rows = [row for day in DAYS[:last] for row in day]
    return steps(platform.definitions.view("driver_now"), rows, until=START + last * DAY)


def is_at(platform: Platform, days: int) -> None:
    assert_frame_equal(gold(platform), of_days(platform, days), rel_tol=1e-9)


def poison(platform: Platform) -> None:
    put(platform, poisoned(DAYS[2]))
    with pytest.raises(AuditError):
        platform.backfill("driver_now", end=END)


def test_publications_are_numbered_and_say_what_they_are(platform: Platform) -> None:
    found = platform.versions("driver_now")
    assert [(p.number, p.kind, p.content_of, p.frontier) for p in found.publications] == [
        (1, "backfill", 1, START + DAY), (2, "backfill", 2, START + 2 * DAY),
    ]  # fmt: skip
    assert (found.serving, found.hold, found.rejected) == (2, None, ())
    assert sum(p.steps for p in found.publications) == len(gold(platform))


def test_a_poisoned_day_is_rejected_and_readers_keep_what_they_have(platform: Platform) -> None:
    before = platform.training_set(labels(2.0), "model")
    put(platform, poisoned(DAYS[2]))
    with pytest.raises(AuditError, match=r"view 'driver_now', 2026-01-07.*n between 0 and 100: .* of 2026-01-07 fail"):
        platform.backfill("driver_now", end=END)
    assert numbers(platform) == [1, 2]
    is_at(platform, 2)
    assert_frame_equal(platform.training_set(labels(2.0), "model"), before)
    (rejected,) = platform.versions("driver_now").rejected
    assert (rejected.since, rejected.until) == (START + 2 * DAY, END)


def test_what_failed_is_kept_with_its_reasons(platform: Platform) -> None:
    poison(platform)
    found = platform.check("driver_now")
    assert found.verdict is not None
    assert found.verdict.passed
    assert found.rejected is not None
    assert found.rejected_rows["_hr_reasons"].explode().unique().to_list() == ["n between 0 and 100"]
    assert (found.rejected_rows["n"] > 100).all()
    (finding,) = found.rejected.verdict.failures
    assert finding.failing == len(found.rejected_rows)


def test_when_the_check_was_wrong_what_was_computed_is_published(platform: Platform) -> None:
    poison(platform)
    lax = redefined(platform, CHECKED.replace("0, 100", "0, 5000"))
    report = lax.backfill("driver_now", end=END)
    assert (report.rows, report.spans) == (0, 0), "the rejected candidate was not computed again"
    assert report.publication is not None
    assert report.publication.number == 3
    assert gold(lax)["n"].max() >= 1000  # type: ignore[operator]
    assert not list(
        candidates(state_folder(lax.context.lake, Gold.of(lax.context, lax.definitions.view("driver_now"))))
    )


def test_a_share_is_that_of_a_day(tmp_path: Path) -> None:
    """One bad day can't hide among good ones."""
    features = CHECKED.replace("0, 100)", "0, 100, max_failing_share=0.5)")
    platform = checked(tmp_path / "project", features)
    for rows in (DAYS[0], DAYS[1], poisoned(DAYS[2])):
        put(platform, rows)
    with pytest.raises(AuditError, match="of 2026-01-07 fail"):
        platform.backfill("driver_now", end=END)
    put(platform, DAYS[2])
    assert numbers(platform) == []


def test_a_check_that_can_not_be_evaluated_publishes_nothing(platform: Platform) -> None:
    broken = redefined(platform, CHECKED.replace('hr.check.between("n", 0, 100)', 'hr.check.matches("n", "[")'))
    put(broken, DAYS[2])
    with pytest.raises(AuditError, match=r"view 'driver_now': its checks \(n matches \[\) can't be evaluated"):
        broken.backfill("driver_now", end=END)
    assert numbers(broken) == [1, 2]
    mended = redefined(broken, CHECKED)
    assert mended.backfill("driver_now", end=END).spans == 0
    is_at(mended, 3)


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_candidate_whose_file_is_gone_begins_anew(damage: str, platform: Platform) -> None:
    poison(platform)
    gold_now = Gold.of(platform.context, platform.definitions.view("driver_now"))
    (candidate,) = candidates(state_folder(platform.context.lake, gold_now))
    path = Path(gold_now.table.location, candidate.files[0].path)
    path.unlink() if damage == "gone" else path.write_bytes(path.read_bytes()[:100])
    lax = redefined(platform, CHECKED.replace("0, 100", "0, 5000"))
    with pytest.raises(LakeError, match=r"part-\w+\.parquet .*Run the (same )?command again"):
        lax.backfill("driver_now", end=END)
    assert numbers(lax) == [1, 2]
    assert lax.backfill("driver_now", end=END).spans > 0
    assert numbers(lax) == [1, 2, 3]


def test_a_held_view_is_published_after_its_release(platform: Platform) -> None:
    platform.hold("driver_now", "the vendor repeats a day")
    put(platform, DAYS[2])
    with pytest.raises(HeldError, match=r"held since .*: the vendor repeats a day.*headrace release driver_now"):
        platform.backfill("driver_now", end=END)
    is_at(platform, 2)
    released = platform.release("driver_now")
    assert released is not None
    assert released.reason == "the vendor repeats a day"
    assert platform.release("driver_now") is None
    platform.backfill("driver_now", end=END)
    is_at(platform, 3)


def test_a_rollback_publishes_forward_and_holds(platform: Platform) -> None:
    before = gold(platform)
    put(platform, DAYS[2])
    platform.backfill("driver_now", end=END)
    done = platform.rollback("driver_now", reason="speeds are wrong")
    assert (done.number, done.kind, done.content_of, done.generation) == (4, "rollback", 2, 2)
    assert_frame_equal(gold(platform), before)
    assert Gold.of(platform.context, platform.definitions.view("driver_now")).computed().frontier == START + 2 * DAY
    with pytest.raises(HeldError, match="speeds are wrong"):
        platform.backfill("driver_now")
    platform.release("driver_now")
    platform.backfill("driver_now", end=END)
    is_at(platform, 3)
    assert numbers(platform) == [1, 2, 3, 4, 5]


def test_other_readers_of_the_table_see_the_rollback_too(platform: Platform) -> None:
    platform.rollback("driver_now", 1)
    table = Gold.of(platform.context, platform.definitions.view("driver_now")).table
    found = pl.scan_delta(table.location).drop("_hr_day").sort("driver_id", "valid_from").collect()
    assert_frame_equal(found, of_days(platform, 1), rel_tol=1e-9)


def test_a_rollback_said_twice_does_not_go_further_back(platform: Platform) -> None:
    put(platform, DAYS[2])
    platform.backfill("driver_now", end=END)
    platform.rollback("driver_now")
    assert platform.rollback("driver_now").number == 4, "it is there already"
    assert platform.rollback("driver_now", 2).number == 4
    is_at(platform, 2)


def test_a_rollback_to_what_is_not_there(platform: Platform) -> None:
    with pytest.raises(UnknownNameError, match=r"view 'driver_now': there is no version '7'. There are: 1, 2"):
        platform.rollback("driver_now", 7)
    platform.rollback("driver_now", 1)
    platform.release("driver_now")
    with pytest.raises(HeadraceError, match="nothing to go back to"):
        platform.rollback("driver_now")


def test_a_rollback_to_a_version_that_vacuum_took(platform: Platform) -> None:
    put(platform, DAYS[2])
    platform.backfill("driver_now", START, END)
    platform.vacuum("driver_now", keep=1)
    with pytest.raises(VersionGoneError, match=r"version 2 were removed by vacuum. Still there: 3"):
        platform.rollback("driver_now", 2)
    is_at(platform, 3)


def test_vacuum_keeps_what_is_published_recent_pinned_or_under_way(platform: Platform, tmp_path: Path) -> None:
    kept = tmp_path / "training"
    wanted = platform.training_set(labels(2.0), "model", to=kept)
    put(platform, poisoned(DAYS[2]))
    with pytest.raises(AuditError):
        platform.backfill("driver_now", end=END)
    for _ in range(3):
        platform.backfill("driver_now", START, START + 2 * DAY)
    platform.vacuum(keep=2)
    vacuumed = [p.number for p in platform.versions("driver_now").publications if p.vacuumed]
    assert vacuumed == [3], "1 lies within 2, which a manifest pins; 4 and 5 are the newest"
    assert platform.unpin(tmp_path / "another") == 0
    again = platform.rebuild(kept, tmp_path / "again")
    assert_frame_equal(again, wanted)
    lax = redefined(platform, CHECKED.replace("0, 100", "0, 5000"))
    assert lax.backfill("driver_now", end=END).spans == 0, "the candidate is there"
    assert (lax.unpin(kept), lax.unpin(tmp_path / "again")) == (1, 1)
    lax.vacuum(keep=2)
    assert [p.number for p in lax.versions("driver_now").publications if not p.vacuumed] == [5, 6]


def test_vacuum_says_first_what_it_would_take(platform: Platform) -> None:
    platform.backfill("driver_now", START, START + 2 * DAY)
    table = Gold.of(platform.context, platform.definitions.view("driver_now")).table
    files = {path.name for path in Path(table.location).rglob("*.parquet")}
    (would,) = [report for name, report in platform.vacuum(keep=1, dry_run=True).items() if name.startswith("gold")]
    assert {path.name for path in Path(table.location).rglob("*.parquet")} == files
    (done,) = [report for name, report in platform.vacuum(keep=1).items() if name.startswith("gold")]
    assert set(would.deleted) == set(done.deleted)
    assert done.files > 0
    is_at(platform, 2)


def test_a_new_definition_is_built_beside_the_old_and_flipped_at_once(platform: Platform) -> None:
    changed = redefined(platform, CHECKED.replace('hr.tumbling("30m")', 'hr.tumbling("15m")'))
    old = changed.context.registry.serving()["driver_now"]
    with pytest.raises(NotAppliedError, match="has never been backfilled as it is defined now"):
        changed.training_set(labels(2.0), "model")
    changed.backfill("driver_now", START, START + DAY)
    assert changed.context.registry.serving()["driver_now"] == old, "it does not reach as far yet"
    changed.backfill("driver_now", START + DAY, START + 2 * DAY)
    serving = changed.context.registry.serving()["driver_now"]
    assert (serving.number, serving.fingerprint != old.fingerprint) == (4, True)
    is_at(changed, 2)


def test_an_old_definition_that_is_in_force_again_is_served_again(platform: Platform) -> None:
    changed = redefined(platform, CHECKED.replace('hr.tumbling("30m")', 'hr.tumbling("15m")'))
    changed.backfill("driver_now", START, START + 2 * DAY)
    back = redefined(changed, CHECKED)
    report = back.backfill("driver_now")
    assert (report.spans, report.publication and report.publication.number) == (0, 2)
    assert back.context.registry.serving()["driver_now"].number == 2


def test_a_new_definition_is_rolled_back_to_the_old_one(platform: Platform) -> None:
    before = platform.training_set(labels(2.0), "model")
    changed = redefined(platform, CHECKED.replace('hr.tumbling("30m")', 'hr.tumbling("15m")'))
    changed.backfill("driver_now", START, START + 2 * DAY)
    done = changed.rollback("driver_now")
    assert (done.number, done.content_of) == (4, 2)
    assert changed.context.registry.serving()["driver_now"].number == 4
    assert_frame_equal(redefined(changed, CHECKED).training_set(labels(2.0), "model"), before)


def test_a_service_may_pin_a_version(platform: Platform) -> None:
    features = CHECKED.replace("features=[driver_now]", "features=[driver_now @ 2]")
    before = platform.training_set(labels(2.0), "model")
    pinned = redefined(platform, features)
    more = [row | {"ping_id": f"late-{row['ping_id']}"} for row in DAYS[0]]
    put(pinned, more)
    pinned.backfill("driver_now", START, START + 2 * DAY)
    assert_frame_equal(pinned.training_set(labels(2.0), "model"), before)
    changed = redefined(pinned, features.replace('hr.tumbling("30m")', 'hr.tumbling("15m")'))
    assert_frame_equal(changed.training_set(labels(2.0), "model"), before)
    unpinned = redefined(changed, CHECKED)
    assert not unpinned.training_set(labels(2.0), "model").equals(before)


def test_a_service_that_pins_a_definition_goes_on_being_served(platform: Platform) -> None:
    features = CHECKED + 'steady = hr.FeatureService("steady", features=[driver_now @ 2])\n'
    changed = features.replace('hr.tumbling("30m")', 'hr.tumbling("15m")')
    row, at = [{"driver_id": 1}], START + 2 * DAY
    before = platform.online("model", row, at=at).to_dicts()[0]
    pinned = redefined(platform, changed)
    pinned.backfill("driver_now", START, START + 2 * DAY)
    assert pinned.context.registry.serving()["driver_now"].number == 3
    assert pinned.online("steady", row, at=at).to_dicts()[0] == before
    pinned.vacuum()
    assert pinned.online("steady", row, at=at).to_dicts()[0] == before
    assert pinned.online("model", row, at=at).to_dicts()[0].keys() == before.keys()
    unpinned = redefined(pinned, CHECKED.replace('hr.tumbling("30m")', 'hr.tumbling("15m")'))
    unpinned.vacuum()
    with pytest.raises(NotAppliedError, match="has nothing of it"):
        pinned.online("steady", row, at=at)


def test_a_pin_of_a_version_that_is_not_there(platform: Platform) -> None:
    features = CHECKED.replace("features=[driver_now]", "features=[driver_now @ 9]")
    pinned = redefined(platform, features, apply=False)
    for use in (pinned.apply, lambda: pinned.training_set(labels(2.0), "model")):
        with pytest.raises(UnknownNameError, match=r"there is no version '9'. There are: 1, 2"):
            use()


def test_checks_are_those_that_were_applied(platform: Platform) -> None:
    put(platform, poisoned(DAYS[2]))
    lax = redefined(platform, CHECKED.replace("0, 100", "0, 5000"), apply=False)
    with pytest.raises(NotAppliedError, match=r"its checks were changed since they were applied. Run: headrace apply"):
        lax.backfill("driver_now", end=END)
    assert numbers(platform) == [1, 2]


def test_a_rollback_passes_over_versions_that_only_reached_further(platform: Platform) -> None:
    before = gold(platform)
    put(platform, [row | {"n": 99, "ping_id": f"bad{row['ping_id']}"} for row in DAYS[2]])
    platform.backfill("driver_now", end=END)
    for hour in range(1, 4):
        platform.backfill("driver_now", end=END + 12 * 3_600_000_000 + hour * 3_600_000_000)
    assert [p.steps for p in platform.versions("driver_now").publications[-2:]] == [0, 0]
    assert platform.rollback("driver_now").content_of == 2
    assert_frame_equal(gold(platform), before)


@pytest.mark.parametrize("days", [2, pytest.param(6, marks=pytest.mark.thorough)])
def test_candidates_for_different_days_at_once(tmp_path: Path, days: int) -> None:
    """Processes that compute different days, in any order of publication, make the same table."""
    platform = checked(tmp_path / "project")
    for rows in DAYS:
        put(platform, rows)
    children = [
        subprocess.Popen(
            [sys.executable, "-m", "headrace", "backfill", "driver_now", "--project", str(platform.context.root),
             "--start", f"2026-01-{5 + day:02d}", "--end", f"2026-01-{6 + day:02d}"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )
        for day in range(days)
    ]  # fmt: skip
    for child in children:
        _, complaint = child.communicate()
        assert child.returncode == 0, complaint
    assert numbers(platform) == list(range(1, days + 1))
    found = platform.training_set(labels(float(days)), "model")
    platform.backfill("driver_now", START, START + days * DAY)
    assert_frame_equal(found, platform.training_set(labels(float(days)), "model"), rel_tol=1e-9)


def test_a_table_that_others_wrote_to_is_put_right(platform: Platform) -> None:
    """What was never audited is never read, and the next publication puts it aside."""
    table = Gold.of(platform.context, platform.definitions.view("driver_now")).table
    table.commit([], schema=table.schema(), mode="replace", partition_by=["_hr_day"], metadata={})
    assert table.scan().collect().is_empty()
    is_at(platform, 2)
    put(platform, DAYS[2])
    platform.backfill("driver_now", end=END)
    is_at(platform, 3)
    assert len(table.scan().collect()) == len(gold(platform))


def test_a_registry_that_is_locked_between_the_commit_and_its_number(platform: Platform) -> None:
    put(platform, DAYS[2])
    before = gold(platform)
    child = subprocess.run(
        [sys.executable, "-m", "tests.integration.locked_registry_child", str(platform.context.root), str(END)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "another process has been writing for 0.3 s. Try again" in child.stdout, child.stderr
    assert_frame_equal(gold(platform), before)
    report = platform.backfill("driver_now", end=END)
    assert (report.rows, numbers(platform)) == (0, [1, 2, 3]), "what was committed is numbered, and not done again"
    is_at(platform, 3)
    assert not list(candidates(state_folder(platform.context.lake, Gold.of(platform.context, the_view(platform)))))


def the_view(platform: Platform) -> FeatureView:
    return platform.definitions.view("driver_now")


def test_what_a_run_stood_on_was_taken_back(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollback while a candidate is computed: the candidate is not published on what it does not know."""
    from headrace.platform import backfill as module

    put(platform, DAYS[2])
    audited = module.audited  # type: ignore[attr-defined]

    def after_a_rollback(*given: object) -> object:
        verdict = audited(*given)  # type: ignore[arg-type]
        platform.rollback("driver_now", 1)
        return verdict

    monkeypatch.setattr(module, "audited", after_a_rollback)
    with pytest.raises(HeldError):
        platform.backfill("driver_now", end=END)
    monkeypatch.undo()
    is_at(platform, 1)
    platform.release("driver_now")
    with pytest.raises(ConflictError, match=r"has been taken back meanwhile. Run the same command again"):
        platform.backfill("driver_now", START + 2 * DAY, END)
    platform.backfill("driver_now", end=END)
    is_at(platform, 3)


def test_optimize_publishes_the_same_rows(platform: Platform) -> None:
    put(platform, [row | {"ping_id": f"x{row['ping_id']}"} for row in DAYS[1]])
    for hour in range(3):
        platform.backfill("driver_now", START + DAY + hour * DAY // 24, START + DAY + (hour + 1) * DAY // 24)
    before = gold(platform)
    reports = platform.optimize("driver_now")
    assert reports["gold/driver_now"].files_after < reports["gold/driver_now"].files_before
    assert_frame_equal(gold(platform), before)
    newest = platform.versions("driver_now").publications[-1]
    assert (newest.kind, newest.content_of) == ("layout", newest.number - 1)
    assert platform.optimize("driver_now")["gold/driver_now"].partitions == 0
    assert platform.rollback("driver_now").content_of == newest.content_of - 1


def test_an_optimize_that_was_killed_before_it_was_shown_online_is_finished_by_the_next(platform: Platform) -> None:
    put(platform, [row | {"ping_id": f"x{row['ping_id']}"} for row in DAYS[1]])
    for hour in range(3):
        platform.backfill("driver_now", START + DAY + hour * DAY // 24, START + DAY + (hour + 1) * DAY // 24)
    child = subprocess.run(
        [sys.executable, "-m", "headrace", "optimize", "driver_now", "--project", str(platform.context.root)],
        cwd=ROOT, env={**os.environ, "HEADRACE_CRASH_AT": "after publication"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert child.returncode == -signal.SIGKILL, child.stderr
    published, head = platform.versions("driver_now").publications[-1], read_head(platform.context.online, "driver_now")
    assert head is not None
    assert (published.kind, head.number) == ("layout", published.number - 1)
    platform.optimize("driver_now")
    head = read_head(platform.context.online, "driver_now")
    assert head is not None
    assert (head.number, numbers(platform)[-1]) == (published.number, published.number)
