"""Feast repositories as people write them, in folders of their own. Nothing of Feast is installed here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

SETTINGS = """
project: shop
registry: data/registry.db
provider: local
online_store:
    type: redis
    connection_string: "redis.example.com:6379,ssl=true,password=very-secret"
offline_store:
    type: file
entity_key_serialization_version: 3
"""
ENTITIES = """
from feast import Entity, ValueType

driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64, description="Who drives",
                tags={"team": "city"})
customer = Entity(name="customer", join_keys=["customer_id"])
"""
HELPERS = """
SCALE = 1000

def scaled(values):
    return values * SCALE
"""
VIEWS = '''
import math
from datetime import timedelta
from typing import Any, Dict

import pandas as pd
from feast import (Aggregation, BigQuerySource, FeatureService, FeatureView, Field, FileSource, KafkaSource, PushSource,
                   RequestSource, StreamFeatureView)
from feast.data_format import AvroFormat, JsonFormat
from feast.infra.offline_stores.contrib.wonders_offline_store.wonders_source import WondersSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.permissions.permission import Permission
from feast.types import Array, Float32, Float64, Int64, Map, String, UnixTimestamp

from entities import customer, driver
from functools import lru_cache

from helpers import SCALE, scaled

LIMIT = 3
TEXT = """{trips}
!"""

@lru_cache
def everyone_else(n):
    return n

def driver_stats(n):  # has the name of a view
    return everyone_else(n)

stats = FileSource(name="stats", path="data/stats.parquet", timestamp_field="ts", created_timestamp_column="created",
                   field_mapping={"conv": "conv_rate"}, description="Hourly")
stats_view = FeatureView(
    name="driver_stats", entities=[driver], ttl=timedelta(hours=2), source=stats, owner="a@example.com",
    schema=[Field(name="driver_id", dtype=Int64), Field(name="conv_rate", dtype=Float32, description="Share"),
            Field(name="trips", dtype=Int64), Field(name="meta", dtype=Map), Field(name="absent", dtype=Int64)],
    tags={"team": "city"},
)
inferred = FeatureView(name="Inferred-View", entities=[driver], source=stats, online=False)
pairs = FeatureView(name="pairs", entities=[driver, customer], ttl=timedelta(0), source=stats,
                    schema=[Field(name="trips", dtype=Int64)])
everyone = FeatureView(name="everyone", source=stats, schema=[Field(name="trips", dtype=Int64)])

fresh_source = PushSource(name="fresh_source", batch_source=stats)
fresh = FeatureView(name="fresh", entities=[driver], source=fresh_source, schema=[Field(name="trips", dtype=Int64)])

warehouse = BigQuerySource(name="warehouse", table="a.b.c", timestamp_field="event_timestamp")
warehouse_view = FeatureView(name="warehouse_view", entities=[driver], source=warehouse,
                             schema=[Field(name="score", dtype=Float64), Field(name="tags", dtype=Array(String))])

topic = KafkaSource(name="clicks", kafka_bootstrap_servers="kafka.example.com:9092", topic="clicks.v1",
                    timestamp_field="ts", batch_source=stats, message_format=AvroFormat("{}"),
                    watermark_delay_threshold=timedelta(minutes=5))
counted = StreamFeatureView(
    name="counted", entities=[driver], source=topic, timestamp_field="ts",
    aggregations=[Aggregation(column="trips", function="sum", time_window=timedelta(hours=1)),
                  Aggregation(column="trips", function="max", time_window=timedelta(hours=1),
                              slide_interval=timedelta(minutes=10)),
                  Aggregation(column="trips", function="median")])
moved = StreamFeatureView(name="moved", entities=[driver], source=topic, udf=lambda frame: frame)
derived = FeatureView(name="derived", entities=[driver], source=stats_view)

asked = RequestSource(name="asked", schema=[Field(name="add", dtype=Int64)])

@on_demand_feature_view(sources=[stats_view, asked], schema=[Field(name="sum", dtype=Float64),
                                                             Field(name="log", dtype=Float64)])
def added(inputs: pd.DataFrame) -> pd.DataFrame:
    frame = pd.DataFrame()
    frame["sum"] = scaled(inputs["trips"]) + inputs["add"]
    frame["log"] = inputs["trips"].map(lambda n: math.log(n) if n else None)
    return frame

@on_demand_feature_view(sources=[stats_view, asked], schema=[Field(name="far", dtype=Int64)], mode="python")
def listed(inputs: Dict[str, Any]) -> Dict[str, Any]:
    return {"far": [None if n is None else min(n, LIMIT) + a for n, a in zip(inputs["trips"], inputs["add"])]}

@on_demand_feature_view(sources=[stats_view], schema=[Field(name="word", dtype=String)], mode="python", singleton=True)
def single(inputs):
    more = """
"""
    return {"word": f"{driver_stats(inputs['trips'])}!" + more + TEXT[-1]}

@on_demand_feature_view(sources=[stats_view], schema=[Field(name="x", dtype=Int64)])
def needs_map(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"x": inputs["meta"].map(len)})

def made_elsewhere():
    return stats_view.name

@on_demand_feature_view(sources=[stats_view], schema=[Field(name="x", dtype=Int64)])
def needs_feast(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"x": [len(made_elsewhere())] * len(inputs)})

model = FeatureService(name="model", features=[stats_view[["trips"]], added, listed, single], description="Main")
routes = FeatureService(name="routes", features=[
    stats_view.with_name("origin").with_join_key_map({"driver_id": "origin_id"}),
    stats_view[["trips"]].with_name("goal").with_join_key_map({"driver_id": "goal_id"}), derived])
nothing = FeatureService(name="nothing", features=[derived])
permission = Permission(name="read", types=[FeatureView])
wonder = WondersSource(name="wonder", magic=1)
'''


def stats_rows(now: datetime) -> pl.DataFrame:
    """Two drivers; a nested column; times without a zone."""
    times = [now - timedelta(minutes=minutes) for minutes in (100, 40, 30, 5)]
    naive = [time.replace(tzinfo=None) for time in times]
    return pl.DataFrame({
        "driver_id": [7, 7, 8, 9], "customer_id": ["a", "b", "a", "a"], "ts": naive, "created": naive,
        "conv": [0.25, 0.5, 0.75, 1.0], "trips": [1, 2, 5, None], "meta": [{"a": "b"}] * 4,
    })  # fmt: skip


def repository(root: Path, **files: str) -> Path:
    """Write a repository; without files, the one above."""
    written = files or {"entities.py": ENTITIES, "helpers.py": HELPERS, "views/all_views.py": VIEWS}
    (root / "data").mkdir(parents=True)
    for name, content in {"feature_store.yaml": SETTINGS, **written}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    stats_rows(datetime.now(UTC)).write_parquet(root / "data" / "stats.parquet")
    return root


def cells(page: str, name: str) -> Any:
    """The line of a report about something of a name."""
    return next(line for line in page.splitlines() if line.startswith("|") and f"| {name} |" in line)
