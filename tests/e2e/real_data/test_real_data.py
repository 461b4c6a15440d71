"""Public data through contracts, steps and training sets, each value compared with SQL over the raw files.

The tests take some days or months of each file; ``python -m benchmarks.real_data`` takes all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from headrace.quality.masking import KEY_VARIABLE
from tests.e2e.real_data.datasets import AUSTIN, RETAIL, TAXI, UBER, DataSet
from tests.e2e.real_data.running import Run, run

pytestmark = [pytest.mark.shared_data, pytest.mark.slow]


@pytest.fixture(autouse=True)
def _mask_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "a key for these tests alone")


@pytest.fixture
def made(request: pytest.FixtureRequest, shared_data: Path, tmp_path: Path) -> Iterator[Run]:
    """The project of a data set, ingested and backfilled."""
    data_set: DataSet = request.param
    if not (shared_data / data_set.file).exists():
        pytest.skip(f"there is no {data_set.file} in {shared_data}")
    found = run(data_set, shared_data, tmp_path)
    yield found
    found.reference.close()


def check_ingest(made: Run, source: str) -> None:
    """Rows are kept, left out and refused as the SQL says, and once only."""
    assert made.counts == made.reference.counts()
    assert made.rejected == made.reference.rejected()
    listed = made.platform.quarantine(source)
    assert sum(reason.rows for reason in listed) == sum(made.rejected.values())
    assert silver(made, source).height == made.counts["accepted"]
    again = made.platform.ingest(source)[source]
    assert (again.files, again.rows_read, again.accepted) == (0, 0, 0)


def check_values(made: Run) -> None:
    """Every value is what the SQL says; enough of them are there, and some are not."""
    compared = made.compared()
    assert compared.mismatches == []
    assert compared.values > 50_000
    assert 0 < compared.nulls < compared.values / 2


def check_offline_and_online_agree(made: Run) -> None:
    """Gold, the online store and what is computed in one go say the same at a sample of entities and times."""
    for view in made.platform.definitions.views:
        found = made.platform.verify(view, comparisons=5_000)
        assert not set(found.by_cause) - {"ttl"}, [str(each) for each in found.differences[:5]]
        assert found.comparisons > 3_000
        assert found.online_comparisons > 1_000
    made.platform.context.online.close()


def silver(made: Run, source: str) -> pl.DataFrame:
    return made.platform.context.lake.table("silver", source).scan().collect()


@pytest.mark.parametrize("made", [AUSTIN], indirect=True, ids=["austin_bus"])
def test_buses(made: Run) -> None:
    check_ingest(made, "pings")
    check_values(made)
    check_offline_and_online_agree(made)
    assert made.counts["duplicates"] > 10_000  # of the second round, most were copies of the first one's


@pytest.mark.thorough
@pytest.mark.parametrize("made", [UBER], indirect=True, ids=["uber_pickups"])
def test_pickups(made: Run) -> None:
    check_ingest(made, "pickups")
    check_values(made)
    check_offline_and_online_agree(made)


@pytest.mark.thorough
@pytest.mark.parametrize("made", [TAXI], indirect=True, ids=["yellow_taxi"])
def test_taxi_trips(made: Run) -> None:
    check_ingest(made, "trips")
    assert made.added_columns == {"file_month": "String"}
    check_values(made)
    check_offline_and_online_agree(made)
    assert made.compared("now").mismatches == []
    # The clocks of New York passed this hour twice: what can't be told apart counts from the later one.
    pickups = silver(made, "trips")["pickup_datetime"].to_list()
    assert datetime(2018, 11, 4, 6, 40, 22, tzinfo=UTC) in pickups
    assert datetime(2018, 11, 4, 5, 40, 22, tzinfo=UTC) not in pickups


@pytest.mark.thorough
@pytest.mark.parametrize("made", [RETAIL], indirect=True, ids=["online_retail"])
def test_invoices(made: Run) -> None:
    check_ingest(made, "lines")
    check_values(made)
    check_offline_and_online_agree(made)
    found = made.training_set()
    nobody = found.filter(pl.col("customer_id").is_null())
    assert nobody.height > 100
    assert set(nobody["customer_value__lines__status"]) == set(nobody["basket_now__times__status"]) == {"NOT_FOUND"}
    check_customers_are_masked_and_found_by_their_number(made)


def check_customers_are_masked_and_found_by_their_number(made: Run) -> None:
    rows = silver(made, "lines")
    assert rows["customer_id"].drop_nulls().str.contains("^[0-9a-f]{64}$").all()
    labels = made.reference.labels().drop_nulls("customer_id")
    customer = labels["customer_id"][0]
    history = made.platform.history("customer_value", {"customer_id": customer})
    assert history["lines"].max() == made.reference.table("kept").filter(pl.col("customer_id") == customer).height
