"""Feast's own side of a repository, in its own environment: makes it from a template, applies it, and serves it.

Run by the interpreter of an environment with Feast, which has nothing of headrace.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from feast import FeatureStore  # type: ignore[import-not-found]
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus  # type: ignore[import-not-found]


def init(name: str, template: str) -> None:
    """``feast init -t template name``, in this process."""
    from feast.repo_operations import init_repo  # type: ignore[import-not-found]

    with redirect_stdout(sys.stderr):
        init_repo(name, template)


def apply(repository: str) -> FeatureStore:
    """``feast apply``, in this process."""
    from feast.repo_config import load_repo_config  # type: ignore[import-not-found]
    from feast.repo_operations import apply_total

    os.chdir(repository)
    sys.path.insert(0, repository)
    with redirect_stdout(sys.stderr):
        apply_total(
            load_repo_config(Path(repository), Path(repository) / "feature_store.yaml"), Path(repository), False
        )
    return FeatureStore(repo_path=repository)


def asked(store: FeatureStore, question: dict[str, Any]) -> dict[str, Any]:
    """The values and statuses of one question, by feature."""
    service = question.get("feature_service")
    wanted = store.get_feature_service(service) if service else question["features"]
    found = store.get_online_features(features=wanted, entity_rows=question["entity_rows"], full_feature_names=True)
    names = found.proto.metadata.feature_names.val
    statuses = {
        name: [FieldStatus.Name(status) for status in vector.statuses]
        for name, vector in zip(names, found.proto.results, strict=True)
    }
    return {"values": found.to_dict(), "statuses": statuses}


def pushed(store: FeatureStore, source: str, rows: list[dict[str, Any]]) -> None:
    """Rows to a push source; their times are text."""
    import pandas as pd  # type: ignore[import-untyped]

    frame = pd.DataFrame(rows)
    for column in ("event_timestamp", "created"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    store.push(source, frame)


def listed(store: FeatureStore) -> dict[str, Any]:
    """What its registry holds."""
    return {
        "entities": {e.name: e.join_key for e in store.list_entities()},
        "views": {v.name: [[f.name, str(f.dtype)] for f in v.features] for v in store.list_feature_views()},
        "ttl_seconds": {v.name: v.ttl.total_seconds() for v in store.list_feature_views()},
        "services": {s.name: [p.name for p in s.feature_view_projections] for s in store.list_feature_services()},
    }


def main() -> None:
    """Answer on the last line."""
    request = json.load(sys.stdin)
    repository = request["repository"]
    if "template" in request:
        init(Path(repository).parent.name, request["template"])
        if store := request.get("online_store"):
            settings = Path(repository, "feature_store.yaml")
            settings.write_text(settings.read_text().partition("online_store:")[0] + store)
    if "push" in request:
        store = FeatureStore(repo_path=repository)
        pushed(store, **request["push"])
    else:
        store = apply(repository)
        with redirect_stdout(sys.stderr):
            store.materialize_incremental(end_date=datetime.now(UTC))
    answers = [asked(store, question) for question in request["questions"]]
    print(json.dumps({"answers": answers, "listed": listed(store)}, default=str))


if __name__ == "__main__":
    main()
