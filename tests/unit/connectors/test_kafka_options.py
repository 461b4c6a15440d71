"""Options of librdkafka: which may be given, and which are not shown."""

from __future__ import annotations

import pytest

from headrace.connectors.kafka_options import is_secret, refuse_own, refused
from headrace.errors import SettingsError


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem", "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config", "sasl.oauthbearer.client.credentials.client.secret",
    ],
)  # fmt: skip
def test_what_is_secret(name: str) -> None:
    assert is_secret(name)
    assert "hunter2" not in str(refused(ValueError("no hunter2 here"), {name: "hunter2"}))


@pytest.mark.parametrize(
    "name",
    ["sasl.username", "ssl.ca.pem", "ssl.key.location", "security.protocol", "sasl.oauthbearer.token.endpoint.url"],
)
def test_what_is_not(name: str) -> None:
    assert not is_secret(name)
    assert "no PLAIN here" in str(refused(ValueError("no PLAIN here"), {name: "PLAIN"}))


@pytest.mark.parametrize("name", ["acks", "request.required.acks"])
def test_an_option_that_is_set_here_is_refused_by_each_of_its_names(name: str) -> None:
    refuse_own({name: "1"}, {"isolation.level"})
    with pytest.raises(SettingsError, match=f"the option {name} is headrace's own. Leave it out"):
        refuse_own({"client.id": "x", name: "1"}, {"acks"})


@pytest.mark.parametrize("name", ["bootstrap.servers", "metadata.broker.list"])
def test_brokers_are_named_elsewhere(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is headrace's own. Set `kafka`, or HEADRACE_KAFKA, instead"):
        refuse_own({name: "elsewhere:9092"}, ())
