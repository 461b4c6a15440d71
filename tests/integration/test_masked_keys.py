"""Entities whose keys are personal: tables hold hashes, and people ask with the real keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.errors import DefinitionError, SettingsError
from headrace.platform import Platform
from headrace.platform.gold import Gold
from headrace.quality.masking import KEY_VARIABLE

FEATURES = """
import headrace as hr

orders = hr.EventSource(
    "orders",
    schema={"order_id": hr.String, "customer_id": hr.Int64, "country": hr.String, "ts": hr.Timestamp, "n": hr.Int64},
    event_time="ts", dedupe_on="order_id", personal={"customer_id": hr.mask.hmac()},
    batch=hr.Files("landing/*.parquet"),
)
customer = hr.Entity("customer", keys={"customer_id": hr.Int64})
bought = hr.FeatureView("bought", entity=customer, source=orders, features={
    "n": hr.sum("n"), "last": hr.last("country")})
model = hr.FeatureService("model", features=[bought])
"""


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Customers 1, 2 and 3 with two orders each, and one order of nobody."""
    monkeypatch.setenv(KEY_VARIABLE, "a key for these tests alone")
    (tmp_path / "headrace.toml").write_text('name = "orders"\n')
    (tmp_path / "features.py").write_text(FEATURES)
    (tmp_path / "landing").mkdir()
    rows = [order(i, customer=[1, 2, 3, 1, 2, 3, None][i]) for i in range(7)]
    times(pl.DataFrame(rows)).write_parquet(tmp_path / "landing" / "orders.parquet")
    found = Platform.open(tmp_path)
    found.apply()
    found.ingest()
    found.backfill("bought")
    return found


def order(number: int, customer: int | None) -> dict[str, Any]:
    """An order at a minute of its own."""
    at = f"2026-01-05T10:0{number}:00Z"
    return {"order_id": f"o{number}", "customer_id": customer, "country": "FR", "ts": at, "n": 10**number}


def times(frame: pl.DataFrame) -> pl.DataFrame:
    """With instants for the text of ``ts``."""
    return frame.with_columns(pl.col("ts").str.to_datetime(time_unit="us", time_zone="UTC"))


def labels(customers: list[int | None]) -> pl.DataFrame:
    """Customers at eleven o'clock."""
    frame = pl.DataFrame({"customer_id": customers, "ts": ["2026-01-05T11:00:00Z"] * len(customers)})
    return times(frame.cast({"customer_id": pl.Int32})).rename({"ts": "label_time"})


@pytest.mark.parametrize("known", ["then", "now"])
def test_labels_are_masked_as_the_source_is_and_keep_their_keys(platform: Platform, known: Any) -> None:
    found = platform.training_set(labels([3, None, 1, 9]), "model", known=known)
    assert found["customer_id"].to_list() == [3, None, 1, 9]
    assert found["bought__n"].to_list() == [100_100, None, 1_001, None]


def test_no_table_holds_a_key(platform: Platform) -> None:
    lake = platform.context.lake
    gold = Gold.of(platform.context, platform.definitions.view("bought")).scan().collect()
    silver = lake.table("silver", "orders").scan().collect()
    for table in (gold, silver):
        assert table["customer_id"].drop_nulls().str.contains("^[0-9a-f]{64}$").all()
    assert set(gold["customer_id"]) == set(silver["customer_id"].drop_nulls())


def test_a_history_is_asked_by_the_real_key(platform: Platform) -> None:
    assert platform.history("bought", {"customer_id": "2"})["n"].to_list() == [10, 10_010]


def test_customers_cannot_be_listed_but_named(platform: Platform) -> None:
    with pytest.raises(DefinitionError, match="Pass entities= with customer_id"):
        platform.snapshot("model", "2026-01-05T11:00:00Z")
    found = platform.snapshot("model", "2026-01-05T11:00:00Z", pl.DataFrame({"customer_id": [2]}))
    assert found["bought__n"].to_list() == [10_010]


def test_without_the_key_of_the_hash_nothing_is_answered(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE)
    with pytest.raises(SettingsError, match=KEY_VARIABLE):
        platform.training_set(labels([1]), "model")
