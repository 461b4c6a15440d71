"""What is answered under ``/v1/``: values of any time with their ages, versions, and where they came from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from headrace.platform import Platform
from headrace.platform.stream_pace import Pace
from headrace.server.answering import Project
from headrace.server.v1_forms import EntitiesRequest, FeaturesRequest
from headrace.server.v1_lineage import lineage
from headrace.types import SECOND, instant, instant_text
from tests import streaming
from tests.integration.serving import Serving, serving
from tests.integration.v1_project import HOUR, city

ONCE = Pace(0.0, 700, snapshot_seconds=0.05, every_step=True, until_idle=True, idle_seconds=3600)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Platform, int]:
    return city(tmp_path_factory.mktemp("v1") / "city")


@pytest.fixture(scope="module")
def server(made: tuple[Platform, int]) -> Iterator[Serving]:
    with serving(made[0].context.root) as running:
        yield running


def asked(server: Serving, path: str, body: Any = None) -> dict[str, Any]:
    found = server.client.get(path) if body is None else server.client.post(path, json=body)
    assert found.status_code == 200, found.text
    answer: dict[str, Any] = found.json()
    return answer


def refused(server: Serving, path: str, body: Any, status: int) -> str:
    found = server.client.get(path) if body is None else server.client.post(path, json=body)
    assert found.status_code == status, found.text
    message: str = found.json()["error"]["message"]
    return message


def columns(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {column["name"]: column for column in answer["results"]}


# ---------------------------------------------------------------- values


def test_values_come_with_their_ages_and_the_state_of_their_views(server: Serving, made: tuple[Platform, int]) -> None:
    answer = asked(server, "/v1/features/model", {"entities": {"driver_id": [7, 8, 404]}})
    assert answer["service"] == "model"
    assert answer["features"] == ["driver_now__rows", "driver_now__total", "driver_now__n", "driver_now__seen"]
    last = columns(answer)["driver_now__n"]
    assert (last["values"], last["statuses"]) == ([4, None, None], ["PRESENT", "OUTSIDE_MAX_AGE", "NOT_FOUND"])
    assert last["event_times"][2] is last["ages_seconds"][2] is None
    age = (instant(answer["at"]) - instant(last["event_times"][0])) / SECOND
    assert last["ages_seconds"][0] == pytest.approx(age)
    assert "valid_from" not in last
    view = answer["views"]["driver_now"]
    publication = made[0].versions("driver_now").publications[-1]
    assert (view["version"], view["definition"]) == (publication.number, publication.fingerprint)
    assert instant(view["frontier"]) == publication.frontier
    assert 0 < view["lag_seconds"] < 600
    assert (view["freshness_seconds"], view["is_stale"], view["stream"]) == (None, None, None)


def test_a_view_says_whether_it_is_stale(server: Serving) -> None:
    view = asked(server, "/v1/features/paying", {"entities": {"driver_id": [7], "factor": [2]}})["views"][
        "driver_rides"
    ]
    assert (view["freshness_seconds"], view["is_stale"]) == (86_400.0, False)


def test_some_features_in_the_order_of_the_request(server: Serving) -> None:
    body = {"entities": {"driver_id": [7]}, "features": ["driver_now:seen", "driver_now__total"]}
    answer = asked(server, "/v1/features/model", body)
    assert answer["features"] == [column["name"] for column in answer["results"]]
    assert answer["features"] == ["driver_now__seen", "driver_now__total"]
    body["features"] = ["driver_now__totl"]
    assert "Did you mean 'driver_now__total'" in refused(server, "/v1/features/model", body, 404)
    body["features"] = ["driver_now__n", "driver_now:n"]
    assert "named twice" in refused(server, "/v1/features/model", body, 422)
    assert "there are none" in refused(server, "/v1/features/model", body | {"features": []}, 422)


def test_at_any_time_the_value_and_its_step_are_those_of_gold(server: Serving, made: tuple[Platform, int]) -> None:
    platform, now = made
    steps = platform.history("driver_rides", {"driver_id": 7}).sort("valid_from").to_dicts()
    newest = [step for step in steps if step["valid_from"].timestamp() * SECOND <= now - 60 * SECOND + 2][-1]
    for at in (now - 30 * SECOND, now + 20 * 60 * SECOND, now + 3 * HOUR * SECOND):
        body = {"entities": {"driver_id": [7], "factor": [2]}, "at": instant_text(at), "lineage": True}
        found = columns(asked(server, "/v1/features/paying", body))
        counted = found["driver_rides__n"]
        assert (counted["values"], counted["statuses"]) == ([newest["n"]], ["PRESENT"])
        assert instant(counted["valid_from"][0]) <= at
        is_old = at - (now - 60 * SECOND) > 2 * HOUR * SECOND
        assert found["driver_rides__fare"]["statuses"] == ["OUTSIDE_MAX_AGE" if is_old else "PRESENT"]
        assert found["driver_rides__fare"]["values"] == [None if is_old else 11.0]
        assert found["scaled__product"]["valid_from"] == [None]
    long_ago = {"entities": {"driver_id": [7], "factor": [2]}, "at": "2020-01-01", "lineage": True}
    old = columns(asked(server, "/v1/features/paying", long_ago))["driver_rides__n"]
    assert (old["values"], old["statuses"], old["valid_from"]) == ([None], ["INCOMPLETE"], [None])


def test_a_value_holds_from_the_step_that_gold_has(server: Serving, made: tuple[Platform, int]) -> None:
    platform, _ = made
    answer = asked(server, "/v1/features/model", {"entities": {"driver_id": [7, 8]}, "lineage": True})
    begins = columns(answer)["driver_now__total"]["valid_from"]
    for driver, begin in zip((7, 8), begins, strict=True):
        steps = platform.history("driver_now", {"driver_id": driver})
        assert instant(begin) == max(map(instant, steps["valid_from"].to_list()))


def test_a_time_that_no_calendar_has_is_refused(server: Serving) -> None:
    for at in ("0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"):
        assert "outside the years" in refused(
            server, "/v1/features/model", {"entities": {"driver_id": [7]}, "at": at}, 422
        )
    assert "is no time" in refused(server, "/v1/features/model", {"entities": {"driver_id": [7]}, "at": "soon"}, 422)


def test_a_failing_feature_fails_alone_with_its_reason(server: Serving) -> None:
    found = columns(asked(server, "/v1/features/broken", {"entities": {"driver_id": [7]}}))
    assert (found["failing__never"]["statuses"], found["failing__never"]["values"]) == (["FAILED"], [None])
    assert "ZeroDivisionError" in found["failing__never"]["reason"]
    assert found["driver_rides__n"]["statuses"] == ["PRESENT"]


def test_a_global_service_needs_no_entities(server: Serving) -> None:
    found = columns(asked(server, "/v1/features/city", {"lineage": True}))["city_now__pings"]
    assert found["values"] == [4]
    assert found["valid_from"][0] is not None


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"entities": {"driver_id": [7]}, "featurs": []}, 422, "unknown field"),
        ({"entities": {"drver_id": [7]}}, 422, "Did you mean 'driver_id'"),
        ({"entities": {}}, 422, "'driver_id' is missing"),
        ({"entities": {"driver_id": ["7"]}}, 422, "Expected `int"),
        ([], 422, "no JSON object as it should be"),
        ({"entities": {"driver_id": list(range(1_001))}, "lineage": True}, 422, "at most 1,000"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_what_to_do(server: Serving, body: Any, status: int, words: str) -> None:
    assert words in refused(server, "/v1/features/model", body, status)


def test_an_unknown_service_has_the_nearest_name(server: Serving) -> None:
    for path in ("/v1/features/modle", "/v1/lineage/modle"):
        assert "Did you mean 'model'" in refused(server, path, {"entities": {}}, 404)
    assert "Did you mean 'model'" in refused(server, "/v1/services/modle", None, 404)
    assert "Did you mean 'driver_now'" in refused(server, "/v1/views/driver_nwo/versions", None, 404)


# ---------------------------------------------------------------- lineage


def test_each_value_names_the_row_that_it_rests_on(server: Serving, made: tuple[Platform, int]) -> None:
    _, now = made
    answer = asked(server, "/v1/lineage/paying", {"entities": {"driver_id": [7, 8, 404], "factor": [2, 2, 2]}})
    seven, eight, nobody = ({value["name"]: value for value in each["values"]} for each in answer["entities"])
    assert answer["entities"][0]["entity"] == {"driver_id": 7, "factor": 2}
    fare = seven["driver_rides__fare"]
    assert (fare["value"], fare["status"], fare["view"], fare["source"]) == (11.0, "PRESENT", "driver_rides", "rides")
    assert fare["version"] == answer["views"]["driver_rides"]["version"]
    assert instant(fare["event_time"]) == now - 60 * SECOND
    assert instant(fare["valid_from"]) <= instant(answer["at"])
    origin = fare["origin"]
    assert (origin["kind"], origin["file"], origin["row"]) == ("file", "landing/b.jsonl", 2)
    assert instant(origin["known_at"]) == now - 60 * SECOND
    assert now <= instant(origin["arrived_at"]) <= instant(answer["at"])
    assert (eight["driver_rides__n"]["origin"]["file"], eight["driver_rides__n"]["origin"]["row"]) == (
        "landing/b.jsonl",
        1,
    )
    assert (nobody["driver_rides__n"]["origin"], nobody["driver_rides__n"]["valid_from"]) == (None, None)
    assert "nothing is known" in nobody["driver_rides__n"]["reason"]
    product = seven["scaled__product"]
    assert (product["view"], product["origin"]) == (None, None)
    assert product["computed_from"] == ["driver_now__total", "factor"]


def test_lineage_at_another_time_is_that_of_the_row_which_was_newest_then(
    server: Serving, made: tuple[Platform, int]
) -> None:
    _, now = made
    body = {"entities": {"driver_id": [8], "factor": [2]}, "at": instant_text(now + HOUR * SECOND)}
    values = asked(server, "/v1/lineage/paying", body | {"features": ["driver_rides__n"]})["entities"][0]["values"]
    assert [value["name"] for value in values] == ["driver_rides__n"]
    assert values[0]["origin"]["row"] == 1


def test_lineage_is_told_of_a_few_entities(server: Serving) -> None:
    assert "100" in refused(server, "/v1/lineage/model", {"entities": {"driver_id": [*range(101)]}}, 422)


def test_of_a_stream_that_the_lake_is_behind_of_no_origin_is_made_up(tmp_path: Path) -> None:
    platform = streaming.project(tmp_path)
    rows = streaming.pings(50)
    streaming.write(tmp_path, "a.jsonl", rows)
    platform.stream("gps", ONCE)
    driver = rows[-1]["driver_id"]
    request = EntitiesRequest({"driver_id": msgspec.Raw(b"[%d]" % driver)})
    served = Project(platform.context)
    before = lineage(served, "model", request)[0].entities[0].values
    assert [value.origin for value in before] == [None] * 4
    assert "no rows of source 'gps' yet" in (before[0].reason or "")
    assert before[0].value is not None
    platform.follow("gps", until_idle=True)
    after = lineage(served, "model", request)[0]
    assert after.views["driver_now"].stream == "gps"
    value = after.entities[0].values[0]
    text = (tmp_path / "in" / "a.jsonl").read_bytes()
    assert value.origin is not None
    assert (value.origin.kind, value.origin.file) == ("stream", "in/a.jsonl")
    assert isinstance(value.origin.offset, int)
    line = msgspec.json.decode(text[value.origin.offset :].splitlines()[0])
    assert (line["driver_id"], value.event_time) == (driver, value.value)


# ---------------------------------------------------------------- what there is


def test_services_are_listed_and_described(server: Serving) -> None:
    found = {each["name"]: each for each in asked(server, "/v1/services")["services"]}
    assert set(found) == {"model", "values", "places", "scaling", "city", "paying", "pinned", "broken"}
    assert (found["paying"]["owner"], found["paying"]["tags"]) == ("pay@example.com", ["pay"])
    told = asked(server, "/v1/services/paying")
    assert told["keys"] == [{"name": "driver_id", "type": "Int64"}]
    assert told["request"] == [{"name": "factor", "type": "Int64"}]
    features = {each["name"]: each for each in told["features"]}
    fare = features["driver_rides__fare"]
    assert (fare["type"], fare["ttl_seconds"], fare["owner"]) == ("Float64", 7_200.0, "rides@example.com")
    assert fare["description"] == "What the newest ride paid, in euros."
    assert features["scaled__product"]["computed_from"] == ["driver_now__total", "factor"]
    assert told["views"]["driver_rides"]["version"] == 1
    example = told["example"]
    assert asked(server, example["path"], example["body"])["features"] == list(features)


def test_a_service_of_a_pinned_version(server: Serving) -> None:
    found = columns(asked(server, "/v1/features/pinned", {"entities": {"driver_id": [7]}, "lineage": True}))
    assert found["driver_rides__n"]["values"] == [7]
    assert asked(server, "/v1/services/pinned")["views"]["driver_rides"]["version"] == 1


def test_versions_of_a_view(server: Serving, made: tuple[Platform, int]) -> None:
    platform, _ = made
    before = asked(server, "/v1/views/place_now/versions")
    assert (before["serving"], before["hold"], len(before["publications"])) == (1, None, 1)
    platform.backfill("place_now")
    platform.rollback("place_now", 1, reason="a test")
    after = asked(server, "/v1/views/place_now/versions")
    published = platform.versions("place_now")
    assert after["serving"] == published.serving
    assert after["hold"]["reason"] == "a test"
    assert [each["kind"] for each in after["publications"]] == [each.kind for each in published.publications]
    newest = after["publications"][-1]
    assert (newest["kind"], newest["content_of"], newest["is_serving"]) == ("rollback", 1, True)
    assert instant(newest["published_at"]) == published.publications[-1].published_at


def test_requests_are_read_as_strictly_as_they_are_described() -> None:
    assert set(FeaturesRequest.__struct_fields__) == {"entities", "at", "features", "lineage"}


def test_what_is_read_here_is_in_the_log_and_another_time_is_no_clock_that_is_wrong(tmp_path: Path) -> None:
    platform, _ = city(tmp_path / "city")
    with serving(platform.context.root, "--log", "1") as running:
        for more in ({}, {"at": "2026-01-05T08:00:00Z"}):
            asked = {"entities": {"driver_id": [1]}, **more}
            assert running.client.post("/v1/features/model", json=asked).status_code == 200
        assert running.stop() == 0
    report = platform.verify_served("model")
    assert (report.requests, report.clock_offsets_us) == (2, {})
