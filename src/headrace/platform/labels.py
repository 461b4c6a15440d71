"""Labels as they come, and as headrace needs them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import xxhash

from headrace.definitions.services import FeatureService
from headrace.engines.polars_types import to_polars
from headrace.errors import DefinitionError, SourceError, TimeError, UnknownNameError
from headrace.timeline.arrays import Ints

if TYPE_CHECKING:
    import narwhals as nw

TIME = "_hr_time"


@dataclass(frozen=True, slots=True)
class Labels:
    """The rows that a training set is made for.

    Parameters
    ----------
    frame : frame
        The rows as given, in their order.
    time_column : str
        Where each row's time is.
    native : object
        What the caller gave, to answer in kind.
    """

    frame: pl.DataFrame
    time_column: str
    native: Any

    @property
    def time(self) -> Ints:
        """Each row's time, in microseconds."""
        return self.frame[self.time_column].dt.epoch("us").to_numpy()

    def digest(self) -> str:
        """Equal for equal rows in equal order, whatever file or frame they came in."""
        digest = xxhash.xxh3_128(str(self.frame.schema).encode())
        for column in self.frame.get_columns():
            digest.update(column.hash(seed=7).to_numpy().tobytes())
        return digest.hexdigest()

    def answer(self, result: pl.DataFrame) -> Any:
        """The result as the kind of frame that the labels were."""
        if isinstance(self.native, pl.DataFrame | pl.LazyFrame | str | Path):
            return result
        import narwhals as nw

        return _like(nw.from_native(self.native, eager_only=True), result)


def parse_labels(labels: Any, time_column: str, service: FeatureService, place: str = "labels") -> Labels:
    """Take a Polars, pandas or Arrow frame, or a Parquet or CSV file, and check what the service needs.

    Raises
    ------
    SourceError
        If a file can't be read.
    UnknownNameError
        If the time, a key or a request column is missing.
    TimeError
        If times have no zone, or some are missing.
    """
    frame = as_frame(labels, place)
    for column in (time_column, *_wanted(service)):
        if column not in frame.columns:
            raise UnknownNameError.of("column", column, frame.columns, place)
    for column in service.columns:
        if column in frame.columns:
            raise DefinitionError(f"{place}: column '{column}' is there already, and a feature would overwrite it.")
    _check_time(frame, time_column, place)
    utc = pl.col(time_column).dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    return Labels(frame.with_columns(utc), time_column, labels)


def _wanted(service: FeatureService) -> list[str]:
    keys = [column for chosen in service.read_selections for column in chosen.key_columns.values()]
    return [*keys, *service.request]


def _check_time(frame: pl.DataFrame, column: str, place: str) -> None:
    dtype = frame.schema[column]
    if not isinstance(dtype, pl.Datetime):
        raise TimeError(f"{place}: '{column}' is {dtype}; a Datetime with a time zone is needed.")
    if dtype.time_zone is None:
        raise TimeError(
            f"{place}: the times of '{column}' have no time zone. Add it: .dt.replace_time_zone('UTC') if they are UTC."
        )
    missing = frame[column].null_count()
    if missing:
        raise TimeError(f"{place}: '{column}' is null in {missing} of {len(frame)} rows; each row needs a time.")


def as_frame(given: Any, place: str) -> pl.DataFrame:
    """Rows that a caller gave: a Polars, pandas or Arrow frame, or a Parquet or CSV file.

    Raises
    ------
    SourceError
        If a file can't be read; begins with `place`.
    """
    if isinstance(given, pl.LazyFrame):
        return given.collect()
    if isinstance(given, pl.DataFrame):
        return given
    if isinstance(given, str | Path):
        return _file(Path(given), place)
    import narwhals as nw

    return cast(pl.DataFrame, nw.from_native(given, eager_only=True).to_polars())


def _file(path: Path, place: str) -> pl.DataFrame:
    if not path.is_file():
        raise SourceError(f"{place}: there is no file {path}.")
    try:
        if path.suffix == ".csv":
            return pl.read_csv(path, try_parse_dates=True)
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{place}: {path} can't be read: {error}. Give Parquet, or CSV with a header.") from error


def _like(given: nw.DataFrame[Any], result: pl.DataFrame) -> Any:
    if given.implementation.is_pandas():
        return result.to_pandas()
    return result.to_arrow() if given.implementation.is_pyarrow() else result


def keyed(frame: pl.DataFrame, keys: dict[str, str], types: dict[str, Any], place: str) -> pl.DataFrame:
    """The key columns of labels under the entity's names and types.

    Raises
    ------
    DefinitionError
        If a column can't be taken for a key of its type.
    """
    columns = []
    for key, column in keys.items():
        wanted = to_polars(types[key])
        found = frame.schema[column]
        if found != wanted and not (found.is_integer() and wanted.is_integer()) and found != pl.Null:
            raise DefinitionError(f"{place}: column '{column}' is {found}, but the key '{key}' is {types[key]}.")
        columns.append(pl.col(column).cast(wanted, strict=False).alias(key))
    return frame.select(columns)
