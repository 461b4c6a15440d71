"""The server's description: made from definitions, of any type, for any tool that reads OpenAPI."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import jsonschema_rs
import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headrace as hr
from headrace.definitions.project import Definitions
from headrace.engines.polars_types import to_polars
from headrace.platform.request_columns import python_type
from headrace.platform.request_values import first_misfit
from headrace.server.formats import FORMS
from headrace.server.openapi import document
from headrace.server.openapi_services import example_entities, served_features
from headrace.server.openapi_types import example_of, schema_of
from headrace.server.requests import Columns, FeatureRequest
from headrace.types import DataType, parse_type

NAMES = [
    "Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "Float32", "Float64", "String", "Binary",
    "Date", "Timestamp", "Decimal(10, 2)", "Decimal(3, 3)", "Decimal(4, 0)", "Vector(Float32, 3)", "List(Int64)",
    "List(Vector(Decimal(6, 2), 2))",
]  # fmt: skip
TYPES = [parse_type(name) for name in NAMES]

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})
place = hr.Entity("place", keys={"driver_id": hr.Int64, "zone": hr.String})
pings = hr.EventSource(
    "pings", schema={"driver_id": hr.Int64, "zone": hr.String, "ts": hr.Timestamp, "fee": hr.Decimal(10, 2),
                     "token": hr.Binary, "speed": hr.Float64, "spot": hr.Vector(hr.Float32, 2)},
    event_time="ts",
)  # fmt: skip


@hr.transform
def faster(rows: Any) -> Any:
    return rows


driver_now = hr.FeatureView(
    "driver_now", entity=driver, source=pings, owner="dispatch@example.com", tags=["eta"], description="Drivers now.",
    features={"fee": hr.last("fee", description="In euros."), "n": hr.count(), "token": hr.last("token"),
              "spot": hr.last("spot")},
)  # fmt: skip
place_now = hr.FeatureView("place_now", entity=place, source=pings, features={"n": hr.count()})
moved = hr.FeatureView("moved", entity=driver, source=pings, transform=faster, features={"speed": hr.last("speed")})
everywhere = hr.FeatureView("everywhere", entity=None, source=pings, features={"n": hr.count()})
hidden = hr.FeatureView("hidden", entity=driver, source=pings, online=False, features={"n": hr.count()})


@hr.on_demand(
    inputs=[driver_now["n"]], request={"now": hr.RequestTime(), "least": hr.Float64}, outputs={"many": hr.Bool}
)
def busy(n: Any, now: Any, least: Any) -> Any:
    return n > least


SERVICES = [
    hr.FeatureService(
        "model", features=[driver_now, busy], description="For the ETA", owner="ml@example.com", tags=["ml"]
    ),
    hr.FeatureService("places", features=[place_now, driver_now["n"]]),
    hr.FeatureService("moves", features=[moved]),
    hr.FeatureService("all_of_it", features=[everywhere]),
    hr.FeatureService("offline", features=[hidden]),
    hr.FeatureService("aliased", features=[driver_now.alias("other", keys={"driver_id": "other_id"})["fee"]]),
]
DEFINITIONS = Definitions.of(SERVICES)


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return json.loads(json.dumps(document(DEFINITIONS, "city", 500)))  # type: ignore[no-any-return]


def schema(described: dict[str, Any], name: str) -> dict[str, Any]:
    """One schema of the document, whose references are found."""
    return {"$ref": f"#/components/schemas/{name}", "components": described["components"]}


def fits(described: dict[str, Any], name: str, value: Any) -> bool:
    return jsonschema_rs.Draft202012Validator(schema(described, name)).is_valid(value)


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    found = set(references(described["paths"])) | set(references(described["components"]))
    assert found <= {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    for name in described["components"]["schemas"]:
        jsonschema_rs.Draft202012Validator(schema(described, name))


def test_each_service_that_is_served_has_its_own_paths(described: dict[str, Any]) -> None:
    names = {"model", "places", "moves", "all_of_it", "aliased"}
    assert {path.rpartition("/")[2] for path in described["paths"] if path.startswith("/v1/features/")} == names
    assert {path.rpartition("/")[2] for path in described["paths"] if path.startswith("/v1/lineage/")} == names
    body = described["paths"]["/get-online-features"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    services, by_features = body["oneOf"]
    assert set(services["discriminator"]["mapping"]) == names
    assert set(services["discriminator"]["mapping"].values()) == {each["$ref"] for each in services["oneOf"]}
    assert by_features["$ref"].endswith("/ByFeatures")


def test_a_service_shows_up_with_its_own_columns(described: dict[str, Any]) -> None:
    entities = described["components"]["schemas"]["Entities.model"]
    assert list(entities["properties"]) == entities["required"] == ["driver_id", "least"]
    key = entities["properties"]["driver_id"]
    assert key["maxItems"] == 500
    assert key["items"] == {
        "type": ["integer", "null"], "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1,
    }  # fmt: skip
    assert list(described["components"]["schemas"]["Entities.aliased"]["properties"]) == ["other_id"]
    assert described["components"]["schemas"]["Features.all_of_it"]["required"] == []


def test_features_have_types_words_owners_and_tags(described: dict[str, Any]) -> None:
    columns = described["components"]["schemas"]["Answer.model"]["properties"]["results"]["items"]["oneOf"]
    found = {each["title"]: each for each in columns}
    assert list(found) == [*(f"driver_now__{name}" for name in ("fee", "n", "token", "spot")), "busy__many"]
    fee = found["driver_now__fee"]
    assert fee["properties"]["values"]["items"]["type"] == ["string", "null"]
    assert fee["description"] == "In euros. Decimal(10, 2). Owner: dispatch@example.com. Tags: eta."
    assert found["driver_now__n"]["description"].startswith("Drivers now. Int64.")
    assert found["driver_now__spot"]["properties"]["values"]["items"]["minItems"] == 2
    assert found["busy__many"]["properties"]["values"]["items"] == {"type": ["boolean", "null"]}
    values = described["paths"]["/v1/features/model"]["post"]
    assert values["tags"] == ["ml"]
    assert values["summary"].startswith("For the ETA")
    assert "ml@example.com" in described["components"]["schemas"]["Request.model"]["description"]


def test_a_type_that_only_a_publication_tells_is_any(described: dict[str, Any]) -> None:
    (column,) = described["components"]["schemas"]["Answer.moves"]["properties"]["results"]["items"]["oneOf"]
    assert column["properties"]["values"]["items"] == {}
    (feature,) = served_features(DEFINITIONS.service("moves"), {})
    assert feature.dtype is None


def test_requests_that_are_right_and_wrong(described: dict[str, Any]) -> None:
    right = {"feature_service": "model", "entities": {"driver_id": [7, None], "least": [0.5, 1]}}
    assert fits(described, "Request.model", right)
    assert not fits(described, "Request.model", right | {"feature_service": "places"})
    assert not fits(described, "Request.model", right | {"features": ["driver_now:n"]})
    assert not fits(described, "Request.model", right | {"entities": {"driver_id": [7]}})
    assert not fits(described, "Request.model", right | {"entities": {"driver_id": [2**63], "least": [0.5]}})
    assert not fits(described, "Request.model", right | {"entities": {"driver_id": [7] * 501, "least": [0.5] * 501}})
    asked = {"entities": right["entities"], "features": ["driver_now__n"], "lineage": True}
    assert fits(described, "Features.model", asked)
    assert not fits(described, "Features.model", asked | {"features": ["place_now__n"]})
    assert not fits(described, "Lineage.model", asked)
    named = {"features": ["driver_now:n", "busy:many"], "entities": {"driver_id": [7]}}
    assert fits(described, "ByFeatures", named)
    assert not fits(described, "ByFeatures", named | {"features": ["hidden:n"]})


def test_examples_are_requests_that_the_server_reads(described: dict[str, Any]) -> None:
    for service in SERVICES:
        if service.name == "offline":
            continue
        body = described["paths"][f"/v1/features/{service.name}"]["post"]["requestBody"]["content"]["application/json"]
        assert fits(described, f"Features.{service.name}", body["example"])
        raw = {name: msgspec.Raw(msgspec.json.encode(values)) for name, values in body["example"]["entities"].items()}
        assert all(len(each) == 2 for each in Columns.of(service).parsed(FeatureRequest(entities=raw), 10).values())
        assert body["example"] == {"entities": example_entities(service)}


def test_the_formats_are_those_that_the_server_reads(described: dict[str, Any]) -> None:
    operation = described["paths"]["/get-online-features"]["post"]
    for formats in (operation["requestBody"]["content"], operation["responses"]["200"]["content"]):
        assert set(formats) <= set(FORMS)
        assert len(formats) == 3


def test_errors_are_described_everywhere(described: dict[str, Any]) -> None:
    for path, item in described["paths"].items():
        for operation in item.values():
            refused = {status: found for status, found in operation["responses"].items() if status != "200"}
            assert refused
            assert "500" not in refused, "nobody counts on a defect"
            for status, found in refused.items():
                if (path, status) != ("/ready", "503"):
                    assert found["content"]["application/json"]["schema"]["$ref"].endswith("/Error")


def test_a_project_without_services() -> None:
    described = document(Definitions(), "empty", 10)
    assert set(described["components"]["schemas"]["ByFeatures"]["properties"]["features"]["items"]["enum"]) == set()
    assert "/v1/services" in described["paths"]


def test_rows_can_be_pushed_where_a_source_has_a_stream() -> None:
    pings = hr.EventSource("pings", schema={"ts": hr.Timestamp}, event_time="ts", stream=hr.Files("log/*.jsonl"))
    paths = document(Definitions.of([pings]), "empty", 10)["paths"]
    asked = paths["/push"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert asked["push_source_name"]["enum"] == ["pings"]
    none = document(Definitions(), "empty", 10)["paths"]
    assert "/push" not in none
    assert "/materialize" in none


# ---------------------------------------------------------------- types


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_examples_are_values_of_their_type(dtype: DataType) -> None:
    values = [example_of(dtype, place) for place in range(2)]
    assert values[0] != values[1]
    for value in values:
        jsonschema_rs.Draft202012Validator(schema_of(dtype)).validate(value)
        read = msgspec.json.decode(msgspec.json.encode(value), type=python_type(dtype))
        assert first_misfit(dtype, [read]) is None


WHOLE = [dtype for dtype in TYPES if dtype.is_integer]


@given(dtype=st.sampled_from(WHOLE), value=st.integers(-(2**66), 2**66))
def test_whole_numbers_that_fit_are_those_that_are_read(dtype: DataType, value: int) -> None:
    described = jsonschema_rs.Draft202012Validator(schema_of(dtype)).is_valid(value)
    try:
        read = msgspec.json.decode(str(value), type=python_type(dtype)) == value
    except msgspec.ValidationError:
        read = False
    assert described == read


@given(
    dtype=st.sampled_from([hr.Decimal(10, 2), hr.Decimal(3, 3), hr.Decimal(4, 0)]),
    value=st.decimals(-1_000_000, 1_000_000, places=2) | st.decimals(allow_nan=True, allow_infinity=True),
)
def test_decimals_that_are_described_are_kept_to_the_digit(dtype: DataType, value: Any) -> None:
    if not jsonschema_rs.Draft202012Validator(schema_of(dtype)).is_valid(str(value)):
        return
    assert first_misfit(dtype, [value]) is None
    assert pl.Series([value], dtype=to_polars(dtype)).to_list() == [value]


@given(
    dtype=st.sampled_from([hr.Decimal(10, 2), hr.Decimal(18, 18), hr.Decimal(4, 0)]),
    figures=st.lists(st.integers(0, 9), min_size=1, max_size=40), exponent=st.integers(-60, 60), sign=st.integers(0, 1),
)  # fmt: skip
def test_what_fits_a_decimal_is_kept_to_the_digit(
    dtype: DataType, figures: list[int], exponent: int, sign: int
) -> None:
    value = Decimal((sign, tuple(figures), exponent))
    if first_misfit(dtype, [value]) is None:
        assert pl.Series([value], dtype=to_polars(dtype)).to_list() == [value]
