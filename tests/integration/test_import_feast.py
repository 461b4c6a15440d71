"""Feast's own template, with a push source and on-demand features: imported, served, and beside what Feast serves."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from headrace.platform import Platform
from headrace.platform.feast.importing import import_feast
from headrace.platform.stream_pace import Pace
from tests.feast_environment import feast, feast_python
from tests.integration.serving import serving

pytestmark = pytest.mark.thorough
CHILD = Path(__file__).with_name("feast_repository_child.py")
IDS = [1001, 1002, 1003, 1004, 1005]
ROWS = [{"driver_id": i, "val_to_add": 1000 + i, "val_to_add_2": 2 * i} for i in [*IDS, 4040]]
SERVICES = ["driver_activity_v1", "driver_activity_v2", "driver_activity_v3"]
STAYED = {"driver_metadata", "driver_profile"}  # a Map and a Struct


def new_row() -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "driver_id": 1001, "event_timestamp": now, "created": now, "conv_rate": 1.0, "acc_rate": 0.25,
        "avg_daily_trips": 1000, "driver_config": '{"max_distance_km": 500}',
        "driver_metadata": {"vehicle_type": "truck", "rating": "5.0"}, "driver_profile": {"name": "x", "age": "30"},
    }  # fmt: skip


SQLITE = "online_store:\n    type: sqlite\n    path: data/online_store.db\nentity_key_serialization_version: 3\n"


@pytest.fixture(scope="module", params=["local", "hbase"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The same questions to Feast and to headrace, before and after a push.

    HBase's template has the same views without nested columns; for Feast's side SQLite takes HBase's place.
    """
    feast_python()
    folder = tmp_path_factory.mktemp("feast_template")
    repository = folder / "city" / "feature_repo"
    questions = [{"feature_service": name, "entity_rows": ROWS} for name in SERVICES]
    asking: dict[str, Any] = {"repository": str(repository), "questions": questions}
    template = {"template": request.param} | ({"online_store": SQLITE} if request.param == "hbase" else {})
    theirs = feast(CHILD, {**asking, **template}, cwd=folder)
    made = import_feast(repository, folder / "project")
    settings = made.root / "headrace.toml"  # the server of the tests waits for a project of this name
    settings.write_text('name = "city"\n' + settings.read_text().partition("\n")[2])
    platform = Platform.open(made.root)
    platform.apply()
    platform.ingest()
    for view in platform.definitions.views:
        platform.backfill(view)
    with serving(made.root) as server:
        before = [asked(server, name) for name in SERVICES]
        rows = [new_row()]
        push(platform, rows)
        after = [asked(server, name) for name in SERVICES]
    pushing = {**asking, "push": {"source": "driver_stats_push_source", "rows": rows}}
    return {
        "report": made.report, "theirs": theirs["answers"], "ours": before, "ours after": after,
        "theirs after": feast(CHILD, pushing, cwd=folder)["answers"], "template": request.param,
    }  # fmt: skip


def asked(server: Any, service: str) -> dict[str, list[tuple[Any, str]]]:
    entities = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    answer: dict[str, list[tuple[Any, str]]] = server.answer(
        {"feature_service": service, "entities": entities, "full_feature_names": True}
    )
    return answer


def push(platform: Platform, rows: list[dict[str, Any]]) -> None:
    """Lines in the stream of the push source; the stream moves the values."""
    file = platform.context.root / "push" / "driver_stats_push_source.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    platform.stream("driver_stats_push_source", Pace(until_idle=True))


def same(ours: Any, theirs: Any) -> bool:
    """Floats as near as 32 bits are; Feast's client reads JSON, where headrace has text."""
    if isinstance(theirs, dict | list):
        return bool(json.loads(ours) == theirs)
    return bool(ours == (pytest.approx(theirs, rel=1e-6) if isinstance(theirs, float) else theirs))


@pytest.mark.parametrize("service", range(len(SERVICES)), ids=SERVICES)
@pytest.mark.parametrize("when", ["", " after"])
def test_each_value_is_the_one_that_feast_serves(both: dict[str, Any], service: int, when: str) -> None:
    theirs, ours = both[f"theirs{when}"][service], both[f"ours{when}"][service]
    compared = 0
    for name, values in theirs["values"].items():
        if name in ROWS[0] or name.partition("__")[2] in STAYED:
            continue
        for i, (value, status) in enumerate(ours[name]):
            if i == len(IDS):
                assert (value, status) in ((None, "NOT_FOUND"), (None, "NULL_VALUE"))
                assert values[i] is None or math.isnan(values[i])
            else:
                assert same(value, values[i]), (name, i)
                assert status == theirs["statuses"][name][i] == "PRESENT"
                compared += 1
    assert compared >= 3 * len(IDS)


def test_a_push_moves_the_view_with_the_push_source_alone(both: dict[str, Any]) -> None:
    v2, v3 = both["ours after"][1], both["ours after"][2]
    assert v3["driver_hourly_stats_fresh__conv_rate"][0] == (1.0, "PRESENT")
    assert v3["transformed_conv_rate_fresh__conv_rate_plus_val1"][0] == (2002.0, "PRESENT")
    assert v2["driver_hourly_stats__conv_rate"] == both["ours"][1]["driver_hourly_stats__conv_rate"]


def test_the_report_names_what_stayed_behind(both: dict[str, Any]) -> None:
    page = both["report"].markdown()
    assert "OUTSIDE_MAX_AGE, online too" in page
    left_out = [line.kind for line in both["report"].left_out]
    if both["template"] == "local":
        assert left_out == ["PushSource", "LabelView"]
        assert "driver_metadata stayed behind: there is no type for Feast's Map" in page
    else:
        assert left_out == []
