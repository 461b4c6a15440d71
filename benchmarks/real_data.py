"""Public data from the raw files to training sets: what was kept and refused, and whether each value is right.

``python -m benchmarks.real_data [--labels N] [NAME …]`` runs the projects of ``tests/e2e/real_data`` on whole files and
compares every value with SQL over them. The data sets are looked for in ``../shared/data``, or where
``HEADRACE_SHARED_DATA`` says.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from headrace.quality.masking import KEY_VARIABLE
from tests.e2e.real_data.comparison import Comparison
from tests.e2e.real_data.datasets import DATA_SETS, DataSet
from tests.e2e.real_data.running import Run, run

ROOT = Path(__file__).parents[1]
SHOWN_MISMATCHES = 10
STAGES = ("ingest", "backfill", "training set", "reference")


def main(arguments: list[str] | None = None) -> int:
    """Run the chosen data sets, print the table, and fail if a count or a value is wrong."""
    options = _options(arguments)
    folder = Path(os.environ.get("HEADRACE_SHARED_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not folder.is_dir():
        print(f"The public data sets are not at {folder}; HEADRACE_SHARED_DATA names another place.", file=sys.stderr)
        return 2
    os.environ.setdefault(KEY_VARIABLE, "a key for this measurement alone")
    table, wrong = _table(), 0
    console = Console(width=max(Console().width, 150))
    for data_set in DATA_SETS:
        if data_set.name in options.names:
            wrong += _measured(data_set, folder, options.labels, table, console)
    console.print(table)
    return int(wrong > 0)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real_data", description=__doc__)
    names = [data_set.name for data_set in DATA_SETS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all by default: {', '.join(names)}")
    parser.add_argument("--labels", type=int, default=5_000, help="labels a data set")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(names))
    if unknown:
        parser.error(f"there is no data set {', '.join(unknown)}: choose from {', '.join(names)}")
    options.names = options.names or names
    return options


def _measured(data_set: DataSet, folder: Path, n_labels: int, table: Table, console: Console) -> int:
    """Add a data set's line to the table; how many things are wrong."""
    with tempfile.TemporaryDirectory(prefix="headrace-real-data-") as root:
        made = run(data_set, folder, Path(root), whole=True, n_labels=n_labels)
        compared = made.compared()
        table.add_row(*_line(data_set, made, compared))
        same_counts = made.counts == made.reference.counts() and made.rejected == made.reference.rejected()
        made.reference.close()
    if not same_counts:
        console.print(f"{data_set.name}: rows were kept or refused otherwise than in SQL")
    for mismatch in compared.mismatches[:SHOWN_MISMATCHES]:
        console.print(f"{data_set.name}: {mismatch}")
    return len(compared.mismatches) + (not same_counts)


def _table() -> Table:
    table = Table(title="Public data, whole files", show_lines=True)
    for name in ("data set", "rows", "accepted", "quarantined, by reason", "duplicates", "steps", "labels",
                 "values", "mismatches", "seconds"):  # fmt: skip
        table.add_column(name, justify="left" if name in ("data set", "quarantined, by reason") else "right")
    return table


def _line(data_set: DataSet, made: Run, compared: Comparison) -> list[str]:
    reasons = "\n".join(f"{rows:,} {reason}" for reason, rows in made.rejected.most_common())
    seconds = "\n".join(f"{stage} {made.seconds[stage]:.1f}" for stage in STAGES)
    counts = made.counts
    return [
        data_set.name, f"{counts['read']:,}", f"{counts['accepted']:,}", f"{counts['rejected']:,} rows\n{reasons}",
        f"{counts['duplicates']:,}", f"{made.steps:,}", f"{made.reference.table('labels').height:,}",
        f"{compared.values:,}", str(len(compared.mismatches)), seconds,
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
