"""The page about security names the settings that there are, with their defaults."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from headrace.server.security.settings import SecuritySettings

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()


def test_each_setting_is_in_the_table() -> None:
    table = PAGE.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == {setting.name for setting in fields(SecuritySettings)} - {"tls_key_password"}
    assert "HEADRACE_SERVE_TLS_KEY_PASSWORD" in PAGE
