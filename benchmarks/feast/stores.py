"""A Feast repository over the same rows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

FEATURES = tuple(f"f{i}" for i in range(8))
REFERENCES = [f"user_now:{name}" for name in FEATURES]
SQLITE = "type: sqlite\n  path: online.db"


def redis(port: int) -> str:
    """The settings of its Redis store."""
    return f"type: redis\n  connection_string: 127.0.0.1:{port}"


def applied(folder: Path, rows: Path, online: str) -> Any:
    """A feature store that has everything in place but the values online."""
    os.environ["FEAST_USAGE"] = "False"
    from feast import (  # type: ignore[import-not-found]
        Entity,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        ValueType,
    )
    from feast.types import Float64, Int64  # type: ignore[import-not-found]

    (folder / "feature_store.yaml").write_text(
        "project: bench\nprovider: local\nregistry: registry.db\noffline_store:\n  type: file\n"
        f"entity_key_serialization_version: 3\nonline_store:\n  {online}\n"
    )
    store = FeatureStore(repo_path=str(folder))
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
    types = {name: Float64 if name < "f6" else Int64 for name in FEATURES}
    view = FeatureView(
        name="user_now", entities=[user], ttl=timedelta(0), online=True,
        schema=[Field(name="user_id", dtype=Int64), *(Field(name=name, dtype=t) for name, t in types.items())],
        source=FileSource(path=str(rows), timestamp_field="ts"),
    )  # fmt: skip
    store.apply([user, view])
    return store


def materialize(store: Any) -> None:
    """Everything."""
    store.materialize(datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))


def values(store: Any, users: Sequence[int]) -> dict[str, list[Any]]:
    """The features of some users."""
    found = store.get_online_features(REFERENCES, [{"user_id": user} for user in users])
    return dict(found.to_dict())


def read_back(store: Any, inputs: Path) -> pl.DataFrame:
    """What it answers for the users of the inputs' sample."""
    import polars as pl  # after Feast's memory has been measured

    users = pl.read_parquet(inputs / "sample.parquet")["user_id"]
    return pl.DataFrame(values(store, users.to_list())).select("user_id", *FEATURES)
