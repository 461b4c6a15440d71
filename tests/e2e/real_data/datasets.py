"""The data sets: where their rows are, in which files they arrive, and which part of them the tests take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file that arrives.

    Parameters
    ----------
    file : str
        Its name below ``landing``.
    rows : str
        The query for its rows: ``raw`` is the data set's own, with ``rn`` to number them, and ``folder`` a
        variable with the directory of the public data.
    """

    file: str
    rows: str


@dataclass(frozen=True, slots=True)
class DataSet:
    """A public data set and the project that is made for it.

    Parameters
    ----------
    name : str
        The folder with ``features.py``, the definitions, and ``reference.sql``, what they mean in SQL.
    file : str
        The raw file.
    source : str
        The source whose rows are counted.
    sample : str
        The condition for the rows of the tests; a measurement takes all.
    rounds : tuple of tuple of Delivery
        What has arrived at each run of ingest and backfill.
    end : str
        Until when steps are computed: later than the last row, so that windows run empty.
    """

    name: str
    file: str
    source: str
    sample: str
    rounds: tuple[tuple[Delivery, ...], ...]
    end: str

    @property
    def folder(self) -> Path:
        """Where the definitions and the reference are."""
        return HERE / self.name


ALL: Final = "SELECT * EXCLUDE (rn) FROM raw ORDER BY rn"
_ZONES: Final = "SELECT * FROM read_parquet(getvariable('folder') || '/taxi_zone_lookup.parquet')"

AUSTIN = DataSet(
    "austin_bus",
    "austin_bus_pings_2015_2017.parquet",
    "pings",
    # Days on which buses stood at latitude 0, or reported twice, and the last one.
    "file_day IN ('2015-03-18', '2016-03-22', '2016-05-30', '2017-04-18')",
    (
        # Every second row comes later, when its time has been computed already: copies meet across runs.
        (Delivery("pings_1.parquet", "SELECT * EXCLUDE (rn) FROM raw WHERE rn % 2 = 0 ORDER BY rn"),),
        (Delivery("pings_2.parquet", "SELECT * EXCLUDE (rn) FROM raw WHERE rn % 2 = 1 ORDER BY rn"),),
    ),
    "2017-04-21",
)
UBER = DataSet(
    "uber_pickups",
    "uber_nyc_2014_apr_may.parquet",
    "pickups",
    "pickup_datetime >= TIMESTAMP '2014-05-22'",
    ((Delivery("pickups_1.parquet", ALL),),),
    "2014-06-18",
)
TAXI = DataSet(
    "yellow_taxi",
    "yellow_taxi_sample_2018_2020.parquet",
    "trips",
    # Clocks change in March and in November; the meters of autumn 2020 have dropoffs before pickups.
    "file_month IN ('2018-11', '2019-03', '2019-08', '2019-09', '2020-03', '2020-09', '2020-10', '2020-11')",
    (
        (
            Delivery("trips_1.parquet", ALL),
            Delivery("zones_2017-12-31.parquet", _ZONES),
            Delivery("zones_2019-06-30.parquet", f"{_ZONES} WHERE borough <> 'Unknown'"),
        ),
    ),
    "2021-02-10",
)
RETAIL = DataSet(
    "online_retail",
    "online_retail_uk_2010_2011.parquet",
    "lines",
    "invoice_ts >= TIMESTAMP '2011-10-15'",
    ((Delivery("lines_1.parquet", ALL),),),
    "2012-07-01",
)
DATA_SETS: Final = (AUSTIN, UBER, TAXI, RETAIL)
