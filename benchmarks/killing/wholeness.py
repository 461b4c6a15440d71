"""What must hold of every version of every table that anybody can see, whatever was killed meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from benchmarks.killing.feed import TRUTH
from benchmarks.killing.project import SOURCES
from headrace.definitions.views import FeatureView
from headrace.engines.polars import PolarsEngine
from headrace.lake.base import Table
from headrace.platform import Platform
from headrace.platform.gold import Gold, silver_table
from headrace.types import BEGINNING, FOREVER

ORIGIN = ("_hr_file", "_hr_row")
_REMEMBERED = 40


class Wholeness:
    """Checks versions of the tables of a project.

    Silver and quarantine have, of each batch that they refer to, exactly the rows that the feed meant for
    them, and each once. Gold has, for each span that it covers, exactly the steps that one computation gives
    from the whole of the silver that the span was computed from.

    Parameters
    ----------
    root : Path
        The project.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.platform = Platform.open(root)
        self._lake = self.platform.context.lake
        self._steps: dict[tuple[str, int, int], pl.DataFrame] = {}

    def tables(self) -> dict[str, Table]:
        """All tables that are there, by name."""
        found = {
            f"{layer}/{source}": self._lake.table(layer, source)
            for layer in ("bronze", "silver", "quarantine")
            for source in SOURCES
        }
        found |= {f"gold/{name}": self._gold(name).table for name in self.platform.definitions.views}
        return {name: table for name, table in found.items() if table.exists()}

    def version(self, name: str) -> int:
        """The version of a table that readers get."""
        layer, _, rest = name.partition("/")
        if layer == "gold":
            return Gold.of(self.platform.context, self.platform.definitions.view(rest)).version
        return self.tables()[name].version()

    def problems(self, name: str, version: int) -> Iterator[str]:
        """What is wrong with a version of a table, in words."""
        layer, _, rest = name.partition("/")
        table = self.tables()[name]
        rows = table.scan(version).collect()
        yield from _files_problems(table, version, rows)
        if layer == "gold":
            yield from self._gold_problems(rest, version, rows)
        else:
            yield from self._row_problems(layer, rest, version, rows)

    def _row_problems(self, layer: str, source: str, version: int, rows: pl.DataFrame) -> Iterator[str]:
        if twice := rows.select(ORIGIN).is_duplicated().sum():
            yield f"{twice} rows are there more than once"
        if layer == "bronze":
            return
        landed = self._landed(layer, source, version)
        wanted = landed.filter(pl.col("identity").is_not_null() if layer == "silver" else pl.col("identity").is_null())
        found = rows.select(ORIGIN).join(self._truth(), on=ORIGIN, how="left", maintain_order="left")
        if layer == "silver":
            if twice := found["identity"].is_duplicated().sum():
                yield f"{twice} rows have an identity that another has"
            wanted, found = wanted.select("identity").unique(), found.select("identity")
        if missing := wanted.join(found, on=wanted.columns, how="anti", nulls_equal=True).height:
            yield f"{missing} rows of its batches are missing"
        if other := found.join(wanted, on=wanted.columns, how="anti", nulls_equal=True).height:
            yield f"{other} rows are in none of its batches"

    def _landed(self, layer: str, source: str, version: int) -> pl.DataFrame:
        """The origins and identities of the batches that a version refers to."""
        commits = self._lake.table(layer, source).commits()
        batches = [c.metadata["batch"] for c in commits if c.version <= version and "batch" in c.metadata]
        bronze = self._lake.table("bronze", source).scan().filter(pl.col("_hr_batch").is_in(batches))
        return bronze.select(ORIGIN).collect().join(self._truth(), on=ORIGIN, how="left")

    def _truth(self) -> pl.DataFrame:
        frames = [pl.read_parquet(path) for path in sorted((self._root / TRUTH).glob("[0-9]*.parquet"))]
        return pl.concat(frames).rename({"file": "_hr_file", "row": "_hr_row"})

    def _gold_problems(self, view: str, version: int, rows: pl.DataFrame) -> Iterator[str]:
        gold = self._gold(view)
        keys = [*gold.view.entity_keys, "valid_from"]
        if twice := rows.select(keys).is_duplicated().sum():
            yield f"{twice} steps are there more than once"
        known = pl.col("valid_from").dt.epoch("us")
        spans = [
            self.steps(gold.view, segment.silver_version).filter(known >= segment.since, known < segment.until)
            for segment in gold.at(version).segments()
        ]
        wanted, found = pl.concat(spans).sort(keys), rows.drop("_hr_day").sort(keys)
        if not found.equals(wanted):
            try:
                assert_frame_equal(found, wanted, rel_tol=1e-9)
            except AssertionError as error:
                yield f"its steps are not those of its spans: {' '.join(str(error).split())[:300]}"

    def steps(self, view: FeatureView, silver_version: int, known_before: int = FOREVER) -> pl.DataFrame:
        """The steps of all rows of a version of silver that were known before an instant, from one computation."""
        key = (view.name, silver_version, known_before)
        if key not in self._steps:
            known = pl.col("_hr_known").dt.epoch("us") < known_before
            rows = silver_table(self._lake, view.source).scan(silver_version).filter(known).collect()
            if len(self._steps) >= _REMEMBERED:
                del self._steps[next(iter(self._steps))]
            self._steps[key] = PolarsEngine().compute(view, rows, None, BEGINNING // 4, FOREVER // 4).steps
        return self._steps[key]

    def _gold(self, view: str) -> Gold:
        return Gold.unpublished(self._lake, self.platform.definitions.view(view))


def _files_problems(table: Table, version: int, rows: pl.DataFrame) -> Iterator[str]:
    """Compare with what others read, and the files with what the log says of them."""
    others = pl.scan_delta(table.location, version=version).collect()
    if others.height != rows.height or not others.equals(rows):
        yield f"another reader finds other rows ({others.height}, not {rows.height})"
    added = pl.DataFrame(DeltaTable(table.location, version=version).get_add_actions())
    for path, size_bytes, count in added.select("path", "size_bytes", "num_records").iter_rows():
        file = Path(table.location, path)
        if file.stat().st_size != size_bytes:
            yield f"{path} has {file.stat().st_size} bytes, and the log says {size_bytes}"
        if pl.scan_parquet(file).select(pl.len()).collect().item() != count:
            yield f"{path} has not the {count} rows that the log says"
