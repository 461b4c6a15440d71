"""Projects for benchmarks."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

import polars as pl

from headrace.definitions.views import FeatureView
from headrace.platform import Platform
from headrace.platform.candidate import Candidate, Part
from headrace.platform.extent import Extent
from headrace.platform.gold import Gold, state_folder
from headrace.platform.gold_staging import staged_steps
from headrace.platform.publishing import publish
from headrace.quality.audit import Verdict
from headrace.registry.base import Publication
from headrace.testing import silver


def open_project(root: Path, definitions: str) -> Platform:
    """The project in a folder; made and applied if there is none."""
    if root.exists():
        return Platform.open(root)
    root.mkdir(parents=True)
    (root / "headrace.toml").write_text('name = "bench"\nmodule = "features"\n')
    (root / "features.py").write_text(definitions)
    platform = Platform.open(root)
    platform.apply()
    return platform


def copied(root: Path, to: Path) -> Path:
    """A copy of a project; data files, which never change, are shared with it."""

    def copy(one: str, other: str) -> str:
        if one.endswith(".parquet"):
            os.link(one, other)
            return other
        return shutil.copy2(one, other)

    shutil.copytree(root, to, copy_function=copy)
    return to


def put_silver(platform: Platform, source: str, rows: pl.DataFrame) -> None:
    """Commit rows of a source, sorted by time, as an ingest would have left them."""
    frame = silver(platform.definitions.source(source), rows)
    frame = frame.with_columns(pl.col("_hr_known").dt.date().alias("_hr_day"))
    table = platform.context.lake.table("silver", source)
    least = str(frame["_hr_known"].dt.epoch("us").min())
    days = frame.partition_by("_hr_day", as_dict=True, maintain_order=True)
    staged = [table.stage(part, {"_hr_day": str(day)}) for (day,), part in days.items()]
    table.commit(staged, schema=frame.schema, mode="append", partition_by=["_hr_day"], metadata={"min_known_us": least})


def publish_steps(platform: Platform, view: FeatureView, since: int, until: int, steps: pl.DataFrame) -> Publication:
    """Publish steps that no source has, as a backfill would, without an audit."""
    context = platform.context
    gold = Gold.of(context, view)
    candidate = Candidate.resume_or_begin(
        state_folder(context.lake, gold), Extent(since, until, (), 0), uuid.uuid4().hex
    )
    files = tuple(staged_steps(gold.table, steps))
    candidate.add(Part(since, until, opening=True, steps=len(steps), carry_digest="", files=files))
    done = publish(context, gold, candidate, Verdict(len(steps), (), ()))
    candidate.forget()
    return done
