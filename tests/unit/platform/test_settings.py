"""A project's settings come from its file and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.errors import SettingsError, UnknownNameError
from headrace.platform.settings import Settings, read_settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "city"
    folder.mkdir()
    return folder


def settings_of(root: Path, text: str, **environment: str) -> Settings:
    (root / "headrace.toml").write_text(text, encoding="utf-8")
    return read_settings(root, environment)


def test_an_empty_file_gives_the_defaults(root: Path) -> None:
    assert settings_of(root, "") == Settings(
        name="city", lake="./lake", online="lmdb:./online", registry="sqlite:///registry.db", module="features", yaml=""
    )


def test_places_are_relative_to_the_project(root: Path) -> None:
    settings = settings_of(root, "")
    assert settings.lake_location(root) == str(root / "lake")
    assert settings.registry_url(root) == f"sqlite:///{root / 'registry.db'}"


def test_absolute_places_and_urls_are_kept(root: Path) -> None:
    settings = settings_of(root, 'lake = "s3://bucket/lake"\nregistry = "sqlite:////var/registry.db"')
    assert settings.lake_location(root) == "s3://bucket/lake"
    assert settings.registry_url(root) == "sqlite:////var/registry.db"
    postgres = settings_of(root, 'registry = "postgresql://host/name"')
    assert postgres.registry_url(root) == "postgresql://host/name"


def test_definitions_in_yaml_alone_need_no_module(root: Path) -> None:
    assert settings_of(root, 'yaml = "features.yaml"').module == ""
    assert settings_of(root, 'yaml = "a.yaml"\nmodule = "b"').module == "b"


def test_each_setting_can_come_from_the_environment(root: Path) -> None:
    values: dict[str, Any] = {
        name: f"{name}-value" for name in ("name", "lake", "online", "registry", "module", "yaml")
    }
    variables = {f"HEADRACE_{name.upper()}": value for name, value in values.items()}
    assert settings_of(root, 'lake = "./other"', **variables) == Settings(**values)


def test_an_unknown_key_is_answered_with_the_nearest(root: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"headrace.toml: there is no setting 'lak'. Did you mean 'lake'\?"):
        settings_of(root, 'lak = "./lake"')


SECRETS = [
    "postgresql://ada:secret@host/name",
    "postgresql://host/name?user=ada&password=secret",
    "redis://:secret@host",
]


@pytest.mark.parametrize("url", SECRETS)
def test_a_password_in_the_file_is_refused_without_showing_it(root: Path, url: str) -> None:
    with pytest.raises(SettingsError, match=r"registry holds a password.*HEADRACE_REGISTRY") as caught:
        settings_of(root, f'registry = "{url}"')
    assert "secret" not in str(caught.value)
    assert settings_of(root, "", HEADRACE_REGISTRY=url).registry == url


@pytest.mark.parametrize("line", ["lake = 3", 'lake = ""', "lake = true", '[lake]\npath = "x"'])
def test_what_is_no_text_is_refused(root: Path, line: str) -> None:
    with pytest.raises(SettingsError, match=r"headrace.toml: lake = .*: a text is needed"):
        settings_of(root, line)


def test_a_malformed_file_is_named(root: Path) -> None:
    with pytest.raises(SettingsError, match=r"headrace.toml: .*line 2"):
        settings_of(root, 'name = "a"\nlake = ./lake')


@pytest.mark.parametrize("name", ["city", "missing", "city/file"])
def test_a_folder_without_settings_is_no_project(root: Path, name: str) -> None:
    (root / "file").touch()
    with pytest.raises(SettingsError, match=r"is no headrace project: there is no headrace.toml.*headrace init"):
        read_settings(root.parent / name, {})


SECURED = """
kafka = "host:9092"

[kafka_options]
"security.protocol" = "SASL_SSL"
"fetch.min.bytes" = 10
"enable.ssl.certificate.verification" = true
"""


def test_options_of_kafka_are_a_table_and_the_environment_adds_to_it(root: Path) -> None:
    from_file = {
        "security.protocol": "SASL_SSL", "fetch.min.bytes": "10", "enable.ssl.certificate.verification": "true"
    }  # fmt: skip
    settings = settings_of(root, SECURED)
    assert settings.kafka == "host:9092"
    assert settings.kafka_options == from_file
    wanted = {**from_file, "fetch.min.bytes": "1", "sasl.password": "a=b"}
    for text in ("sasl.password=a=b; fetch.min.bytes = 1;", '{"sasl.password": "a=b", "fetch.min.bytes": 1}'):
        settings = settings_of(root, SECURED, HEADRACE_KAFKA_OPTIONS=text)
        assert settings.kafka_options == wanted
        assert "a=b" not in repr(settings)


@pytest.mark.parametrize("name", ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"])
def test_a_secret_option_in_the_file_is_refused_without_showing_it(root: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=rf"holds a secret, {name}.*HEADRACE_KAFKA_OPTIONS") as caught:
        settings_of(root, f'[kafka_options]\n"{name}" = "hunter2"')
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kafka_options = "security.protocol=SSL"', r"kafka_options is a table\. Write \[kafka_options\]"),
        ("[kafka_options]\nsecurity.protocol = 'SSL'", r"security: a text.*Put names in quotes"),
        ('[kafka_options]\n"client.id" = [1]', r"headrace\.toml: kafka_options, client\.id: a text"),
    ],
)
def test_what_is_no_table_of_options_is_refused(root: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        settings_of(root, text)


@pytest.mark.parametrize(
    "text", ["hunter2", "=hunter2", "a=b;hunter2", '{"sasl.password": "hunter2"', '{"a": ["hunter2"]}']
)
def test_options_in_the_environment_that_can_not_be_read_are_not_shown(root: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="HEADRACE_KAFKA_OPTIONS") as caught:
        settings_of(root, "", HEADRACE_KAFKA_OPTIONS=text)
    assert "hunter2" not in str(caught.value)
