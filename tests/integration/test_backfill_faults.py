"""Whatever happens to a backfill or to its files: a clear error or a clean retry, and never a half of anything."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headrace.errors import ConflictError, LakeError
from headrace.platform import Platform
from headrace.platform import backfill as module
from headrace.platform.carries import best_carry
from headrace.platform.gold import Gold
from headrace.testing import steps
from headrace.types import DAY
from tests.integration.backfill_child import END, ROWS_A_SPAN
from tests.integration.disks import nearly_full, read_only, small_disk
from tests.integration.pings import START, gold, project, put, some_rows

ROOT = Path(__file__).parents[2]
ROWS = some_rows(seed=1, days=4, n=400)
LATER = some_rows(seed=2, days=4, n=20)
POINTS = [
    "after gold file", "before candidate part", "before candidate part:3", "after candidate part",
    "after candidate part:4", "after carry:2", "after audit", "before gold commit", "after gold commit",
    "before publication", "after publication", "before backfill ends",
]  # fmt: skip
SOME = ("before candidate part:3", "after carry:2", "after gold commit", "after publication")


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    made = project(tmp_path / "project")
    put(made, ROWS)
    return made


@pytest.fixture
def on_small_disk(tmp_path: Path) -> Iterator[Platform]:
    """A project whose lake has a disk of its own."""
    with small_disk(tmp_path / "project" / "lake", "3m"):
        made = project(tmp_path / "project")
        put(made, ROWS)
        yield made


def child(platform: Platform, *how: str, crash_at: str = "") -> subprocess.Popen[str]:
    environment = os.environ | {"HEADRACE_CRASH_AT": crash_at, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    command = [sys.executable, "-m", "tests.integration.backfill_child", str(platform.context.root), *how]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe)


def assert_killed(process: subprocess.Popen[str]) -> None:
    _, complaint = process.communicate()
    assert process.returncode == -signal.SIGKILL, complaint


def in_spans(platform: Platform) -> module.BackfillReport:
    return module.backfill(platform.context, "driver_now", end=END, rows_a_span=ROWS_A_SPAN)


def assert_whole(platform: Platform, rows: list[dict[str, object]] = ROWS) -> None:
    """Gold has exactly the steps of the time that it says it covers."""
    view = platform.definitions.view("driver_now")
    covered = Gold.of(platform.context, view).computed().intervals
    if not covered:
        return
    ((since, until),) = covered
    inside = pl.col("valid_from").dt.epoch("us").is_between(since, until, closed="left")
    assert_frame_equal(gold(platform), steps(view, rows, until=END).filter(inside), rel_tol=1e-9)


def assert_complete(platform: Platform, rows: list[dict[str, object]] = ROWS) -> None:
    wanted = steps(platform.definitions.view("driver_now"), rows, until=END)
    assert_frame_equal(gold(platform), wanted, rel_tol=1e-9)


def folder_of(platform: Platform) -> Path:
    view = platform.definitions.view("driver_now")
    return platform.context.lake.folder("state", "driver_now", Gold.of(platform.context, view).fingerprint)


def files_of(platform: Platform, *table: str) -> list[Path]:
    found = platform.context.lake.table(*table)
    return [Path(found.location, file.path) for file in found.files()]


def gold_files(platform: Platform) -> list[Path]:
    found = Gold.of(platform.context, platform.definitions.view("driver_now"))
    return [Path(found.table.location, file.path) for file in found.files()]


def label_frame() -> pl.DataFrame:
    times = [START + DAY // 2 + i * DAY // 5 for i in range(20)]
    labels = pl.DataFrame({"driver_id": [0, 1, 2, 3, 4] * 4, "label_time": times})
    return labels.cast({"label_time": pl.Datetime("us", "UTC")})


@pytest.mark.slow
@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=() if point in SOME else pytest.mark.thorough) for point in POINTS]
)
def test_killed_at_a_point(point: str, platform: Platform) -> None:
    assert_killed(child(platform, crash_at=point))
    assert_whole(platform)
    report = in_spans(platform)
    assert_complete(platform)
    first_part = point in {"before candidate part", "after gold file"}
    assert report.rows == len(ROWS) if first_part else report.rows < len(ROWS), "it begins where the first stopped"
    assert not list((folder_of(platform) / "candidates").iterdir())
    assert [p.number for p in platform.versions("driver_now").publications] == [1]


@pytest.mark.slow
def test_killed_while_saving_what_is_carried(platform: Platform) -> None:
    assert_killed(child(platform, "dies-saving"))
    assert [path.name for path in folder_of(platform).glob(".*.part")]
    assert_whole(platform)
    in_spans(platform)
    assert_complete(platform)
    assert not list(folder_of(platform).glob(".*.part"))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_bits(path: Path) -> None:
    content = bytearray(path.read_bytes())
    middle = len(content) // 3
    content[middle : middle + 40] = bytes(byte ^ 0xFF for byte in content[middle : middle + 40])
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, empty, flip_bits, Path.unlink])
@pytest.mark.parametrize("file", ["rows.parquet", "note.json"])
def test_a_damaged_carry_is_done_without(
    file: str, damage: Callable[[Path], None], platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY_SECONDS", 0.0)
    in_spans(platform)
    silver = platform.context.lake.table("silver", "pings")
    saved = sorted(path for path in folder_of(platform).iterdir() if path.name[:1].isdigit())
    damage(saved[-1] / file)
    carry = best_carry(folder_of(platform), END, silver.version(), list(silver.commits()))
    assert carry is not None
    assert f"{carry.until:020d}" == saved[-2].name.split("-")[0]
    put(platform, LATER)
    in_spans(platform)
    assert_complete(platform, ROWS + LATER)


def test_a_damaged_record_of_a_candidate_means_a_new_run(platform: Platform) -> None:
    in_spans(platform)
    rows = list(ROWS)
    for seed, content in enumerate(("{torn", "[]\n", "{}\n")):
        (folder_of(platform) / "candidates" / "damaged.jsonl").write_text(content)
        more = some_rows(seed=10 + seed, days=4, n=5)
        put(platform, more)
        rows += more
        in_spans(platform)
        assert_complete(platform, rows)
        assert [path.name for path in (folder_of(platform) / "candidates").iterdir()] == ["damaged.jsonl"]


@pytest.mark.slow
def test_the_second_of_two_backfills_is_told_who_is_first(platform: Platform) -> None:
    first = child(platform, "waits")
    assert first.stdout is not None
    assert first.stdout.readline() == "waiting\n"
    with pytest.raises(ConflictError, match=rf"backfill-driver_now.* is already running in process {first.pid}\. Wait"):
        in_spans(platform)
    assert_whole(platform)
    _, complaint = first.communicate()
    assert first.returncode == 0, complaint
    assert_complete(platform)


@pytest.mark.parametrize("free_bytes", [0, 20_000, 50_000, 100_000])
def test_a_full_disk(free_bytes: int, on_small_disk: Platform) -> None:
    lake = Path(on_small_disk.context.lake.location)
    with nearly_full(lake, free_bytes), pytest.raises(LakeError, match=r"the disk is full \([\d,]+ bytes free\)"):
        in_spans(on_small_disk)
    assert_whole(on_small_disk)
    in_spans(on_small_disk)
    assert_complete(on_small_disk)


def test_a_read_only_lake_is_told_and_still_read(on_small_disk: Platform) -> None:
    in_spans(on_small_disk)
    before = on_small_disk.training_set(label_frame(), "model")
    put(on_small_disk, LATER)
    with read_only(Path(on_small_disk.context.lake.location)):
        with pytest.raises(LakeError, match=r"the file system is read-only\. Remount it"):
            in_spans(on_small_disk)
        assert_frame_equal(on_small_disk.training_set(label_frame(), "model"), before)
    in_spans(on_small_disk)
    assert_complete(on_small_disk, ROWS + LATER)


def test_a_folder_that_may_not_be_written(platform: Platform) -> None:
    in_spans(platform)
    table = gold_files(platform)[0].parents[1]
    put(platform, LATER)
    with immutable(table / "_delta_log"), pytest.raises(LakeError, match=f"{table}.*writing is not permitted"):
        in_spans(platform)
    assert_complete(platform)
    in_spans(platform)
    assert_complete(platform, ROWS + LATER)


@contextmanager
def immutable(folder: Path) -> Iterator[None]:
    if shutil.which("chattr") is None or subprocess.run(["chattr", "+i", folder], check=False).returncode:
        pytest.skip("needs a file system and a user that can make folders immutable")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", folder], check=True)


@pytest.mark.parametrize(
    ("damage", "found"),
    [(Path.unlink, "it is gone"), (truncate, "it has .* bytes, and was written with"), (flip_bits, "parquet")],
)
def test_a_damaged_file_of_silver_is_named(damage: Callable[[Path], None], found: str, platform: Platform) -> None:
    file = files_of(platform, "silver", "pings")[1]
    damage(file)
    with pytest.raises(LakeError, match=rf"{file} is damaged: {found}.*headrace ingest <source> --rebuild"):
        in_spans(platform)


@pytest.mark.parametrize(
    ("damage", "found"),
    [(Path.unlink, "it is gone"), (truncate, "it has .* bytes, and was written with"), (flip_bits, "parquet")],
)
def test_a_damaged_file_of_gold_is_named_and_can_be_made_again(
    damage: Callable[[Path], None], found: str, platform: Platform
) -> None:
    in_spans(platform)
    before = platform.training_set(label_frame(), "model")
    file = gold_files(platform)[1]
    damage(file)
    with pytest.raises(LakeError, match=rf"{file} is damaged: {found}.*headrace backfill <view>"):
        platform.training_set(label_frame(), "model")
    if damage is not flip_bits:  # these are in a column that a history does not read
        with pytest.raises(LakeError, match=rf"{file} is damaged: {found}"):
            platform.history("driver_now", {"driver_id": 1})
    shutil.move(file.parents[1], platform.context.root / "damaged")
    in_spans(platform)
    assert_frame_equal(platform.training_set(label_frame(), "model"), before, rel_tol=1e-9)
