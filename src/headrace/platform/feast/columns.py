"""What a source of Feast's reads: its file, its time, and the columns that are known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from headrace.platform.feast.recording import Recorded
from headrace.platform.feast.types import file_columns
from headrace.types import DataType

STREAMS: Final = ("PushSource", "KafkaSource", "KinesisSource")


@dataclass(slots=True)
class Origin:
    """A source as it is to be written, and the columns that views ask of it.

    Parameters
    ----------
    item : Recorded
        Feast's source.
    batch : Recorded or None
        The part of it that is read in batches.
    pattern : str
        Where its files are, or are to be put.
    found : mapping of str to DataType
        The columns of its file, where it can be read.
    columns : dict of str to DataType
        Those that views ask for.
    notes : list of str
        What is to be known of it.
    """

    item: Recorded
    batch: Recorded | None
    pattern: str
    found: Mapping[str, DataType | None]
    columns: dict[str, DataType] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, item: Recorded, name: str, root: Path) -> Origin:
        """What can be told of a source without its views."""
        batch = item.given.get("batch_source") if item.kind in STREAMS else item
        batch = batch if isinstance(batch, Recorded) else None
        pattern, path, notes = _place(batch, name, root)
        return cls(item, batch, pattern, file_columns(path) if path else {}, notes=notes)

    @property
    def mapped(self) -> dict[str, str]:
        """For a name that Feast uses, the column of the file: ``field_mapping`` the other way round."""
        given = self._given("field_mapping") or {}
        return {after: before for before, after in given.items()}

    @property
    def time(self) -> str | None:
        """The column of the event time: as given, or the only time of the file, as Feast infers it."""
        given = self._given("timestamp_field") or self._given("event_timestamp_column")
        if given:
            return str(given)
        times = [name for name, dtype in self.found.items() if dtype is not None and dtype.is_temporal]
        times = [name for name in times if name != self.created]
        return times[0] if len(times) == 1 else None

    @property
    def created(self) -> str | None:
        """The column that says when a row was written."""
        found = self._given("created_timestamp_column")
        return str(found) if found else None

    def column(self, name: str) -> str:
        """The file's column for a name that Feast uses."""
        return self.mapped.get(name, name)

    def is_time(self, name: str) -> bool:
        """Whether a column can be one of times, as far as the file is known."""
        if not self.found:
            return True
        dtype = self.found.get(self.column(name))
        return dtype is not None and dtype.is_temporal

    def ask(self, column: str, otherwise: DataType | None) -> DataType | str:
        """Take a column of the file: its type, or why there is none."""
        if not self.found:
            dtype = self.columns.get(column, otherwise)
            why = "its type is not declared, and the file can't be read here"
        elif column in self.found:
            dtype, why = self.found[column], "there is no type for what the file holds there"
        else:
            return f"{self.pattern} has no such column"
        if dtype is None:
            return why
        self.columns[column] = dtype
        return dtype

    def _given(self, name: str) -> Any:
        parts = [part for part in (self.batch, self.item) if part is not None]
        return next((part.given[name] for part in parts if part.given.get(name)), None)


def called(item: Recorded) -> str:
    """What people call a source: its name, table, query or path."""
    given = [item.given.get(key) for key in ("name", "table", "query", "path")]
    return next((str(each) for each in given if each), item.kind)


def _is_parquet(batch: Recorded) -> bool:
    """Whether a source of Spark or Ray is plain files of Parquet."""
    form = batch.given.get("file_format") or batch.given.get("reader_type")
    return bool(batch.given.get("path")) and form == "parquet"


def _place(batch: Recorded | None, name: str, root: Path) -> tuple[str, Path | None, list[str]]:
    landing = f"landing/{name}/*.parquet"
    if batch is None:
        return landing, None, [f"It has no batch source: put what there was before into {landing}."]
    if batch.kind != "FileSource" and not _is_parquet(batch):
        return landing, None, [f"{batch.kind} is not read: export {called(batch)} as Parquet into {landing}."]
    path = str(batch.given.get("path", "")).removeprefix("file://")
    if "://" in path:
        return landing, None, [f"{path} is not on this machine: bring its files into {landing}."]
    form = batch.given.get("file_format")
    if isinstance(form, Recorded) and form.kind == "DeltaFormat":
        return landing, None, [f"{path} is a Delta table: write its rows as Parquet into {landing}."]
    place = (root / path).resolve()
    return (f"{place}/**/*.parquet" if place.is_dir() else str(place)), place, []
