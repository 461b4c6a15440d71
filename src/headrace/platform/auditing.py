"""Auditing a candidate before anybody can read it, and keeping what failed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from headrace.errors import AuditError, LakeError
from headrace.lake.durable import make_folder, sync_file, write_file
from headrace.lake.failures import lake_failures
from headrace.platform.gold import DAY_COLUMN, state_folder
from headrace.quality.audit import Verdict, audit, failing_steps
from headrace.types import instant_text

if TYPE_CHECKING:
    from headrace.platform.candidate import Candidate
    from headrace.platform.context import Context
    from headrace.platform.gold import Gold

_FOLDER = "audits"
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Audited:
    """The record of an audit that found failing steps.

    Parameters
    ----------
    run_id : str
        The candidate's run.
    at : int
        When it was audited, in microseconds.
    since, until : int
        The candidate's span.
    verdict : Verdict
        What was found.
    rows : Path
        A Parquet file of steps that fail, with their reasons.
    """

    run_id: str
    at: int
    since: int
    until: int
    verdict: Verdict
    rows: Path


def audited(context: Context, gold: Gold, candidate: Candidate) -> Verdict:
    """Audit exactly the candidate's files.

    Raises
    ------
    AuditError
        If more steps fail a check than it allows, or a check can't be evaluated. The failing steps are kept.
    LakeError
        If a file of the candidate is gone or not as it was written: the candidate is given up.
    """
    if not candidate.files:
        return Verdict(0, tuple(map(str, gold.view.checks)), ())
    try:
        steps = gold.table.scan_staged(candidate.files)
        verdict = audit(gold.view.place, gold.view.checks, steps, DAY_COLUMN)
        _check_whole(gold, candidate, verdict)
    except LakeError:
        candidate.discard(gold.table)
        raise
    if verdict.findings:
        record = _kept(context, gold, candidate, verdict, failing_steps(gold.view.checks, steps))
        if not verdict.passed:
            raise _rejected(gold, candidate, record)
    return verdict


def _check_whole(gold: Gold, candidate: Candidate, verdict: Verdict) -> None:
    if verdict.steps != candidate.steps:
        raise LakeError(
            f"{gold.view.place}: the candidate's files hold {verdict.steps:,} steps, and {candidate.steps:,} were "
            "written. Run the same command again: it begins anew."
        )


def audits(context: Context, gold: Gold) -> list[Audited]:
    """The audits of a definition that found failing steps, oldest first."""
    folder = _folder(context, gold)
    found = [_read(path) for path in sorted(folder.glob("*.json"))] if folder.is_dir() else []
    return sorted(found, key=lambda record: record.at)


def rejected(context: Context, gold: Gold) -> list[Audited]:
    """The candidates of a definition that an audit rejected and that were not published since, oldest first."""
    published = {publication.run for publication in context.registry.publications(gold.view.name)}
    return [each for each in audits(context, gold) if not each.verdict.passed and each.run_id not in published]


def _kept(context: Context, gold: Gold, candidate: Candidate, verdict: Verdict, rows: pl.DataFrame) -> Audited:
    folder = _folder(context, gold)
    record = Audited(
        candidate.run_id, context.clock(), candidate.start, candidate.reached, verdict,
        folder / f"{candidate.run_id}.parquet",
    )  # fmt: skip
    plain = {name: getattr(record, name) for name in ("run_id", "at", "since", "until")}
    with lake_failures("write", folder):
        make_folder(folder)
        rows.drop(DAY_COLUMN).write_parquet(record.rows)
        sync_file(record.rows)
        text = json.dumps({**plain, "verdict": verdict.plain()}, indent=2)
        write_file(folder / f"{candidate.run_id}.json", text.encode())
    return record


def _read(path: Path) -> Audited:
    with lake_failures("read", path):
        plain = json.loads(path.read_text(encoding="utf-8"))
    return Audited(**{**plain, "verdict": Verdict.from_plain(plain["verdict"]), "rows": path.with_suffix(".parquet")})


def _folder(context: Context, gold: Gold) -> Path:
    return state_folder(context.lake, gold) / _FOLDER


def _rejected(gold: Gold, candidate: Candidate, record: Audited) -> AuditError:
    failures = record.verdict.failures
    listed = "; ".join(map(str, failures[:_SHOWN])) + (
        f"; and {len(failures) - _SHOWN} more" * (len(failures) > _SHOWN)
    )
    return AuditError(
        f"{gold.view.place}, {instant_text(candidate.start)} to {instant_text(candidate.reached)}: the audit rejects "
        f"run {candidate.run_id}: {listed}. Readers keep what was published before. See the failing steps: headrace "
        f"check {gold.view.name}. Correct the rows or the definition and backfill again; or change the check, apply, "
        "and run the same command: what was computed is kept."
    )
