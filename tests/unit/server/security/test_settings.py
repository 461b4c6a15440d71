"""The table [serve] and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.errors import SettingsError, UnknownNameError
from headrace.platform.settings import read_settings
from headrace.server.security.settings import SecuritySettings, security_settings


def test_without_a_table_there_are_the_defaults() -> None:
    assert security_settings({}, {}) == SecuritySettings()


def test_the_environment_counts_more_than_the_file_and_the_command_line_most() -> None:
    table = {"audit": "a.jsonl", "most_body_bytes": 100, "hosts": ["a.example"], "behind_proxy": False}
    environment = {
        "HEADRACE_SERVE_MOST_BODY_BYTES": "200", "HEADRACE_SERVE_HOSTS": "b.example, c.example",
        "HEADRACE_SERVE_BEHIND_PROXY": "true", "HEADRACE_SERVE_REQUESTS_PER_SECOND": "2.5",
        "HEADRACE_SERVE_TLS_KEY_PASSWORD": "123",
    }  # fmt: skip
    found = security_settings(table, environment, given={"most_body_bytes": 300})
    assert found == SecuritySettings(
        audit="a.jsonl", most_body_bytes=300, hosts=("b.example", "c.example"), behind_proxy=True,
        requests_per_second=2.5, tls_key_password="123",
    )  # fmt: skip


def test_an_unknown_name_is_answered_with_the_nearest_unless_it_is_somebody_elses() -> None:
    with pytest.raises(UnknownNameError, match=r"headrace.toml, \[serve\]: .*'audits'. Did you mean 'audit'\?"):
        security_settings({"audits": "x"}, {})
    assert security_settings({"workers": 2}, {}, others=["workers"]) == SecuritySettings()


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"most_body_bytes": "8"}, "Expected `int`"), ({"most_body_bytes": 0}, ">= 1"),
        ({"requests_per_second": 0}, "> 0"), ({"behind_proxy": "yes"}, "Expected `bool`"),
        ({"hosts": "a"}, "Expected `array`"), ({"keys": 7}, "Expected `str`"),
        ({"token_leeway_seconds": 9_999}, "<= 600"), ({"tls_cert": "a.pem"}, "belong together"),
        ({"token_keys": "j.json"}, "token_audience"), ({"token_keys": "j.json", "token_issuer": "i"}, "token_audience"),
        ({"burst": 3}, "burst needs"), ({"token_algorithms": ["none"]}, "'none'"),
        ({"token_algorithms": ["HS256"]}, "'HS256'"), ({"token_algorithms": []}, "is empty"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_place(table: dict[str, Any], told: str) -> None:
    with pytest.raises((SettingsError, UnknownNameError)) as error:
        security_settings(table, {})
    assert told in str(error.value)
    assert "[serve]" in str(error.value)


def test_a_secret_in_the_file_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match="HEADRACE_SERVE_TLS_KEY_PASSWORD") as error:
        security_settings({"tls_key_password": "hunter2"}, {})
    assert "hunter2" not in str(error.value)
    assert "hunter2" not in repr(SecuritySettings(tls_key_password="hunter2"))


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="HEADRACE_SERVE_AUDIT_FILES"):
        security_settings({}, {"HEADRACE_SERVE_AUDIT_FILES": "many"})


def test_the_table_is_a_part_of_the_projects_file(tmp_path: Path) -> None:
    (tmp_path / "headrace.toml").write_text('lake = "./lake"\n[serve]\nbehind_proxy = true\n')
    table = read_settings(tmp_path, {"HEADRACE_SERVE_AUDIT": "x"}).serve
    assert table == {"behind_proxy": True}
    assert security_settings(table, {}).behind_proxy
    (tmp_path / "headrace.toml").write_text('serve = "x"\n')
    with pytest.raises(SettingsError, match=r"serve is a table. Write \[serve\]"):
        read_settings(tmp_path, {})
