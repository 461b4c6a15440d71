"""What the values should be: SQL over the raw files, which shares nothing with headrace but its definition."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl

from headrace.engines.base import Known
from headrace.types import instant
from tests.e2e.real_data.datasets import ALL, HERE, DataSet, Delivery


class Reference:
    """A data set in DuckDB: its rows as they are, and what follows from them.

    Parameters
    ----------
    data_set : DataSet
        Which one.
    folder : Path
        The directory of the public data.
    whole : bool
        Whether all rows are taken, or those of the tests.
    n_labels : int
        How many labels are drawn.
    """

    def __init__(self, data_set: DataSet, folder: Path, *, whole: bool, n_labels: int) -> None:
        self.known: Known | None = None
        self._data_set = data_set
        self._original = folder / data_set.file if whole else None
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'; SET threads = 2")
        self._set("folder", str(folder))
        self._set("n_labels", n_labels)
        self._set("end_at", instant(data_set.end))
        condition = "true" if whole else data_set.sample
        self._connection.execute(
            "CREATE TABLE raw AS SELECT * EXCLUDE (file_row_number), file_row_number AS rn "
            f"FROM read_parquet('{folder / data_set.file}', file_row_number = true) WHERE {condition}"
        )
        self._connection.execute((HERE / "windows.sql").read_text())

    def deliver(self, delivery: Delivery, landing: Path) -> None:
        """Put a file where the project looks for it: the original one, if all of it arrives at once."""
        landing.mkdir(exist_ok=True)
        if self._original is not None and delivery.rows == ALL:
            (landing / delivery.file).symlink_to(self._original)
            return
        self._connection.execute(f"COPY ({delivery.rows}) TO '{landing / delivery.file}' (FORMAT parquet)")

    def evaluate(self, known: Known) -> None:
        """Run the data set's SQL: what is kept, what is not and why, the labels and the value of each feature."""
        self.known = known
        self._set("known", known)
        script = (self._data_set.folder / "reference.sql").read_text()
        self._connection.execute(script.replace("CREATE ", "CREATE OR REPLACE "))

    def table(self, name: str) -> pl.DataFrame:
        """A table that the SQL made."""
        found: pl.DataFrame = self._connection.sql(f"FROM {name}").pl()
        return found

    def labels(self) -> pl.DataFrame:
        """The labels, with the time in ``label_time``."""
        time = pl.col("at_us").cast(pl.Datetime("us", "UTC")).alias("label_time")
        return self.table("labels").sort("label").with_columns(time).drop("at_us")

    def rejected(self) -> dict[str, int]:
        """How many rows fail for each reason."""
        counted = "SELECT reason, count(*) FROM (SELECT unnest(reasons) AS reason FROM judged) GROUP BY reason"
        return dict(self._connection.execute(counted).fetchall())

    def counts(self) -> dict[str, int]:
        """Rows read, rejected, kept, and left out as copies."""
        found = self._connection.execute(
            "SELECT count(*), count(*) FILTER (len(reasons) > 0), (SELECT count(*) FROM kept) FROM judged"
        ).fetchone()
        assert found is not None
        read, rejected, kept = found
        return {"read": read, "rejected": rejected, "accepted": kept, "duplicates": read - rejected - kept}

    def close(self) -> None:
        """Let go of the memory."""
        self._connection.close()

    def _set(self, name: str, value: str | int) -> None:
        self._connection.execute(f"SET VARIABLE {name} = ?", [value])
