"""A project's settings: ``headrace.toml``, each overridden by an environment variable.

``lake = "./lake"`` in the file is ``HEADRACE_LAKE`` in the environment. Passwords come from the
environment alone, so that the file can be committed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from headrace.errors import SettingsError, UnknownNameError
from headrace.platform import kafka_settings

FILE_NAME = "headrace.toml"
_SERVE = "serve"
_SECRET_PARAMETERS = {"password", "passwd", "pwd", "secret", "token", "secret_access_key", "aws_secret_access_key"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project is made of and where it keeps things.

    Parameters
    ----------
    name : str
        The project's name.
    lake : str
        A folder relative to the project, or a URL such as ``s3://bucket/lake``.
    online : str
        The online store: ``lmdb:./online``.
    registry : str
        ``sqlite:///registry.db`` (relative to the project) or ``postgresql://user@host/name``.
    module : str
        The dotted name of the Python module with the definitions; empty for none.
    yaml : str
        A YAML file with definitions, relative to the project; empty for none.
    kafka : str
        The brokers that topics are read from: ``host:9092,…``; empty for none.
    kafka_options : mapping of str to str
        librdkafka's, such as ``security.protocol``. Those of the environment are added to those of the file.
    schema_registry : str
        The URL of a schema registry, for topics of Avro or Protobuf; empty for none.
    stream_sinks : str
        What streams write to, separated by commas: ``online``, ``lake`` (each step, in a Delta table) and
        ``kafka:PREFIX`` (each step, to the topic PREFIX followed by the view's name).
    serve : mapping of str to object
        The server's table, ``[serve]``, as the file has it: the server reads it, and the environment.
    """

    name: str
    lake: str = "./lake"
    online: str = "lmdb:./online"
    registry: str = "sqlite:///registry.db"
    module: str = ""
    yaml: str = ""
    kafka: str = ""
    kafka_options: Mapping[str, str] = field(default_factory=dict, repr=False)  # they may hold a password
    schema_registry: str = ""
    stream_sinks: str = "online"
    serve: Mapping[str, object] = field(default_factory=dict, repr=False)

    def lake_location(self, root: Path) -> str:
        """The lake's folder as an absolute path, or its URL."""
        return self.lake if "://" in self.lake else str(_under(root, self.lake))

    def registry_url(self, root: Path) -> str:
        """The registry's URL, a SQLite file as an absolute path."""
        prefix = "sqlite:///"
        if not self.registry.startswith(prefix):
            return self.registry
        return f"{prefix}{_under(root, self.registry.removeprefix(prefix))}"


def read_settings(root: Path, environment: Mapping[str, str]) -> Settings:
    """Read a project's settings.

    Parameters
    ----------
    root : Path
        The project's folder.
    environment : mapping of str to str
        Environment variables; ``HEADRACE_<SETTING>`` overrides the file.

    Raises
    ------
    SettingsError
        If the file is missing or malformed, a value has the wrong type, or it holds a password.
    UnknownNameError
        If a key is no setting: says the nearest right one.
    """
    file = root / FILE_NAME
    given = _read_file(file)
    options = kafka_settings.options_of_file(file, given.pop(kafka_settings.NAME, {}))
    options |= kafka_settings.options_of_text(environment.get(kafka_settings.VARIABLE, ""))
    serve = _table(file, _SERVE, given.pop(_SERVE, {}))
    known = [setting.name for setting in fields(Settings)]
    names = [name for name in known if name not in {kafka_settings.NAME, _SERVE}]
    for key, value in given.items():
        if key not in names:
            raise UnknownNameError.of("setting", key, known, str(file))
        _check_value(file, key, value)
    settings = Settings(**{"name": root.resolve().name, **given}, kafka_options=options, serve=serve)
    overrides: dict[str, Any] = {
        name: environment[f"HEADRACE_{name.upper()}"] for name in names if f"HEADRACE_{name.upper()}" in environment
    }
    settings = replace(settings, **overrides)
    return settings if settings.module or settings.yaml else replace(settings, module="features")


def _under(root: Path, path: str) -> Path:
    return (root.resolve() / Path(path).expanduser()).resolve()


def _read_file(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise SettingsError(
            f"{file.parent} is no headrace project: there is no {FILE_NAME}. Name the project's folder, or make one "
            "with `headrace init`."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f'{file}: {error}. Write lines such as lake = "./lake".') from error
    except OSError as error:
        raise SettingsError(f"{file} can't be read: {error.strerror}.") from error


def _table(file: Path, name: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise SettingsError(f'{file}: {name} is a table. Write [{name}], and below it lines such as audit = "".')
    return value


def _check_value(file: Path, key: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise SettingsError(f"{file}: {key} = {value!r}: a text is needed, in quotes.")
    if _holds_password(value):
        raise SettingsError(
            f"{file}: {key} holds a password. Take it out of the file (others can read it there) and set the whole "
            f"value in the environment: HEADRACE_{key.upper()}."
        )


def _holds_password(value: str) -> bool:
    parts = urlsplit(value)
    return bool(parts.password) or any(name.lower() in _SECRET_PARAMETERS for name, _ in parse_qsl(parts.query))
