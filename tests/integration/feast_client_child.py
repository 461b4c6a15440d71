"""Feast's own client, in its own environment: asks the server it is told of, and prints what it was answered.

Run by the interpreter of an environment with Feast, which has nothing of headrace.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from feast import (  # type: ignore[import-not-found]
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    PushSource,
    ValueType,
)
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus  # type: ignore[import-not-found]
from feast.repo_config import RepoConfig  # type: ignore[import-not-found]
from feast.types import Int64, String, UnixTimestamp  # type: ignore[import-not-found]


def opened(path: str, auth: dict[str, Any] | None = None) -> FeatureStore:
    """A store whose online store is a server elsewhere."""
    settings: dict[str, Any] = {"auth": auth} if auth else {}
    return FeatureStore(
        config=RepoConfig(
            project="city", provider="local", registry=str(Path.cwd() / "registry.db"),
            online_store={"type": "remote", "path": path}, entity_key_serialization_version=3, **settings,
        )
    )  # fmt: skip


def defined(store: FeatureStore) -> None:
    """The names of the server's project, in a registry of Feast's."""
    driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
    zone = Entity(name="zone", join_keys=["zone"], value_type=ValueType.STRING)
    pings = FileSource(name="pings", path="pings.parquet", timestamp_field="ts")
    driver_now = FeatureView(
        name="driver_now", entities=[driver], ttl=timedelta(hours=2),
        source=PushSource(name="live", batch_source=pings),
        schema=[Field(name="driver_id", dtype=Int64), *(Field(name=n, dtype=Int64) for n in ("rows", "total", "n")),
                Field(name="seen", dtype=UnixTimestamp)],
    )  # fmt: skip
    place_now = FeatureView(
        name="place_now", entities=[driver, zone], source=pings,
        schema=[Field(name="driver_id", dtype=Int64), Field(name="zone", dtype=String),
                Field(name="rows", dtype=Int64)],
    )  # fmt: skip
    model = FeatureService(name="model", features=[driver_now[["rows", "total", "n", "seen"]]])
    store.apply([driver, zone, driver_now, place_now, model])


def asked(store: FeatureStore, question: dict[str, Any]) -> dict[str, Any]:
    """One question as users put it: the values, and the status of each."""
    service = question.pop("feature_service", None)
    wanted = store.get_feature_service(service) if service else question.pop("features")
    try:
        found = store.get_online_features(features=wanted, **question)
    except Exception as error:  # noqa: BLE001 - what users see is what is told
        return {"error": type(error).__name__, "message": str(error)}
    proto = found.proto
    names = list(proto.metadata.feature_names.val)
    statuses = [[FieldStatus.Name(status) for status in vector.statuses] for vector in proto.results]
    return {"values": found.to_dict(), "names": names, "statuses": dict(zip(names, statuses, strict=True))}


def read_one_view(store: FeatureStore, ids: list[int]) -> list[Any]:
    """As Feast's own parts read a view: by encoded keys and the view's schema."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey  # type: ignore[import-not-found]
    from feast.protos.feast.types.Value_pb2 import Value  # type: ignore[import-not-found]
    from feast.type_map import feast_value_type_to_python_type  # type: ignore[import-not-found]

    keys = [EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=i)]) for i in ids]
    view = store.get_feature_view("driver_now")
    rows = store._get_provider().online_read(store.config, view, keys, ["rows", "n"])
    return [{name: feast_value_type_to_python_type(value) for name, value in found.items()} for _, found in rows]


def main() -> None:
    """Answer on the last line."""
    request = json.load(sys.stdin)
    store = opened(request["path"], request.get("auth"))
    defined(store)
    answers = [asked(store, question) for question in request["questions"]]
    views = read_one_view(store, request["ids"])
    guarded = []
    for auth in (None, {"type": "oidc", "token": request["key"]}):
        again = opened(request["guarded"], auth)
        guarded.append(asked(again, {"features": ["driver_now:total"], "entity_rows": [{"driver_id": 7}]}))
    print(json.dumps({"answers": answers, "views": views, "guarded": guarded}, default=str))


if __name__ == "__main__":
    main()
