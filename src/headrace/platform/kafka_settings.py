"""The setting `kafka_options`: librdkafka's options, as the file and the environment have them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from headrace.connectors.kafka_options import is_secret
from headrace.errors import SettingsError

NAME: Final = "kafka_options"
VARIABLE: Final = "HEADRACE_KAFKA_OPTIONS"


def options_of_file(file: Path, value: object) -> dict[str, str]:
    """The options in a project's file: a table of texts, numbers and truth values.

    Raises
    ------
    SettingsError
        If it is no such table, or has a secret.
    """
    if not isinstance(value, dict):
        raise SettingsError(
            f'{file}: {NAME} is a table. Write [{NAME}], and below it lines such as "security.protocol" = "SSL".'
        )
    options = {name: _text(f"{file}: {NAME}", name, each) for name, each in value.items()}
    if secret := next(filter(is_secret, options), None):
        raise SettingsError(
            f"{file}: {NAME} holds a secret, {secret}. Take it out of the file (others can read it there) and set it "
            f"in the environment: {VARIABLE}='{secret}=…'."
        )
    return options


def options_of_text(text: str) -> dict[str, str]:
    """The options in the environment: a JSON object, or ``name=value;name=value``.

    Raises
    ------
    SettingsError
        If it is neither. Values are not shown.
    """
    if text.lstrip().startswith("{"):
        return _of_json(text)
    pairs = [part.partition("=") for part in text.split(";") if part.strip()]
    if any(not equals or not name.strip() for name, equals, _ in pairs):
        raise SettingsError(
            f"{VARIABLE} is not name=value;name=value. Where a value has a ';' in it, write a JSON object: "
            '{"sasl.username": "…"}.'
        )
    return {name.strip(): value.strip() for name, _, value in pairs}


def _of_json(text: str) -> dict[str, str]:
    try:
        found: Mapping[str, object] = json.loads(text)
    except ValueError:
        raise SettingsError(f'{VARIABLE} is no JSON object such as {{"security.protocol": "SSL"}}.') from None
    return {name: _text(VARIABLE, name, value) for name, value in found.items()}


def _text(where: str, name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    hint = f' Put names in quotes, "{name}.…": else the dot begins another table.' if isinstance(value, dict) else ""
    raise SettingsError(f"{where}, {name}: a text, a number or a truth value is needed.{hint}")
