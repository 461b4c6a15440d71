"""Making silver again from bronze, beside the old one, which stays until the new one is whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from headrace.definitions.fingerprint import source_fingerprint
from headrace.lake.base import Table
from headrace.platform.crash_points import crash_point
from headrace.platform.landing import DAY
from headrace.platform.ledger import Batch
from headrace.platform.refining import Refiner, hashes
from headrace.platform.silver import silver_schema


def remake(refiner: Refiner, batches: list[Batch], progress: Callable[[int, int], None]) -> list[Batch]:
    """Refine all batches into a table aside, then put it in the place of silver in one commit.

    A run that was killed goes on with the batches that are missing aside.

    Parameters
    ----------
    refiner : Refiner
        With the source, and its silver as target.
    batches : list of Batch
        All batches of bronze, in order.
    progress : callable
        Called with the rows done and all rows.
    """
    source, silver = refiner.source, refiner.target
    digest = source_fingerprint(source)
    aside = refiner.lake.table("remade", f"{source.name}-{digest}")
    build = replace(refiner, target=aside)
    total, done = sum(batch.rows for batch in batches), 0
    for batch in batches:
        if not batch.is_in(aside):
            build.refine(batch)
        done += batch.rows
        progress(done, total)
    _put_in_place(silver, aside, batches, refiner)
    aside.delete()
    return batches


def _put_in_place(silver: Table, aside: Table, batches: list[Batch], refiner: Refiner) -> None:
    known = [
        int(c.metadata["min_known_us"]) for t in (silver, aside) for c in t.commits() if "min_known_us" in c.metadata
    ]
    note = {
        "operation": "rebuild",
        **hashes(refiner.source),
        "batches": json.dumps([batch.id for batch in batches]),
        "rows": str(sum(file.rows for file in aside.files()) if aside.exists() else 0),
        **({"min_known_us": str(min(known))} if known else {}),
    }
    staged = silver.adopt(aside) if aside.exists() else []
    crash_point("before rebuild commit")
    schema = aside.schema() if aside.exists() else silver_schema(refiner.source)
    silver.commit(
        staged,
        schema=schema,
        mode="replace",
        partition_by=[DAY],
        metadata=note,
        also=list(dict(batch.transaction for batch in batches).items()),  # of a stream's, the last epoch
    )
    crash_point("after rebuild commit")
