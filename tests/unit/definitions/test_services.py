"""What a service reads and how on-demand functions find their inputs."""

from __future__ import annotations

from typing import Any

import pytest

import headrace as hr
from headrace.definitions.services import FeatureService, bindings
from headrace.errors import DefinitionError, UnknownNameError
from tests.unit.definitions.examples import available, driver, driver_now, gps, view


def test_columns_are_in_the_order_of_the_service() -> None:
    service = FeatureService("s", features=[available, driver_now[["speed_mean", "last_ping"]]])
    assert service.columns == ("available__free", "driver_now__speed_mean", "driver_now__last_ping")
    assert service.request == {"zone": hr.Int64}


def test_a_view_is_used_twice_under_two_names() -> None:
    twice = FeatureService("s", features=[driver_now, driver_now.alias("other", keys={"driver_id": "other_id"})])
    assert twice.columns[2:] == ("other__last_ping", "other__speed_mean")
    assert [chosen.key_columns for chosen in twice.selections] == [
        {"driver_id": "driver_id"},
        {"driver_id": "other_id"},
    ]


def test_one_feature_twice_is_refused() -> None:
    with pytest.raises(DefinitionError, match="two features are called 'driver_now__last_ping'"):
        FeatureService("s", features=[driver_now, driver_now["last_ping"]])


def test_an_alias_can_not_stand_for_two_views() -> None:
    other = view(features={"n": hr.count()})
    with pytest.raises(DefinitionError, match="'driver_now' stands for two different things"):
        FeatureService("s", features=[driver_now["last_ping"], other.alias("driver_now")])


def test_what_is_read_holds_every_selection_of_a_view_once() -> None:
    service = FeatureService("s", features=[driver_now["speed_mean"], driver_now["last_ping"], available])
    assert [(wanted.name, wanted.feature_names) for wanted in service.read_selections] == [
        ("driver_now", ("speed_mean", "last_ping"))
    ]


def test_what_an_on_demand_feature_reads_is_read() -> None:
    assert [wanted.name for wanted in FeatureService("s", features=[available]).read_selections] == ["driver_now"]


def test_parameters_are_bound_to_features_and_request_columns() -> None:
    def distance(last_ping: Any, driver_now__speed_mean: Any, zone: Any) -> Any:
        return zone

    made = hr.on_demand(inputs=[driver_now], request={"zone": hr.Int64}, outputs={"d": hr.Float64})(distance)
    assert bindings(made) == {
        "last_ping": "driver_now__last_ping",
        "driver_now__speed_mean": "driver_now__speed_mean",
        "zone": "zone",
    }


def test_an_ambiguous_parameter_is_refused_with_the_choices() -> None:
    other = hr.FeatureView("other", entity=driver, source=gps, features={"last_ping": hr.last("ts")})

    def age(last_ping: Any) -> Any:
        return last_ping

    made = hr.on_demand(inputs=[driver_now, other], outputs={"age": hr.Float64})(age)
    with pytest.raises(DefinitionError, match="'last_ping' could be any of driver_now__last_ping, other__last_ping"):
        hr.Definitions.of([made])


def test_an_unknown_parameter_is_refused_with_the_nearest() -> None:
    def age(last_pin: Any) -> Any:
        return last_pin

    made = hr.on_demand(inputs=[driver_now], outputs={"age": hr.Float64})(age)
    with pytest.raises(UnknownNameError, match=r"no input 'last_pin'. Did you mean 'last_ping'"):
        FeatureService("s", features=[made])


def test_one_view_given_twice_is_not_ambiguous() -> None:
    made = hr.on_demand(inputs=[driver_now, driver_now["last_ping"]], outputs={"a": hr.Int64})(available.function)
    with pytest.raises(UnknownNameError, match="no input 'now'"):
        bindings(made)


def test_an_input_that_is_no_view_is_refused() -> None:
    made = hr.on_demand(inputs=[gps], outputs={"free": hr.Bool})(available.function)
    with pytest.raises(DefinitionError, match=r"on_demand 'available': input .* is neither a view"):
        bindings(made)


def test_request_columns_of_one_name_have_one_type() -> None:
    def other(zone: Any) -> Any:
        return zone

    made = hr.on_demand(request={"zone": hr.String}, outputs={"o": hr.String})(other)
    with pytest.raises(DefinitionError, match=r"request column 'zone' is Int64 .* and String for 'other'"):
        FeatureService("s", features=[available, made])
