"""Schemas from a registry that speaks Confluent's protocol."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib import error, parse, request

from headrace.errors import SettingsError, StreamError

_ANSWER_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.2
_NOT_FOUND: Final = 404
_BROKEN: Final = 500
_ACCEPT: Final = "application/vnd.schemaregistry.v1+json, application/json"


@dataclass(slots=True)
class SchemaRegistry:
    """Asks for schemas and keeps them: what a number means never changes.

    Parameters
    ----------
    url : str
        ``http://host:8081``, perhaps with a user and a password.
    reach_seconds : float
        How long to go on asking while it can't be reached.

    Raises
    ------
    SettingsError
        If the URL can't be read.
    """

    url: str
    reach_seconds: float = 10.0
    location: str = field(init=False)
    _headers: dict[str, str] = field(init=False, repr=False)
    _kept: dict[str, dict[str, Any]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Take the password out of the URL."""
        parts = parse.urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError("schema_registry: that is no address. Write http://host:8081 or https://….")
        host = parts.netloc.rpartition("@")[2]
        self.location = parse.urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._headers = {"Accept": _ACCEPT}
        if parts.username is not None:
            user = f"{parse.unquote(parts.username)}:{parse.unquote(parts.password or '')}"
            self._headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"

    def schema(self, number: int, form: str = "") -> dict[str, Any] | None:
        """A schema and what it refers to, as the registry answers; None if there is none of that number.

        Raises
        ------
        StreamError
            If the registry can't be reached, or refuses to answer.
        """
        return self._get(f"/schemas/ids/{number}", form)

    def referred(self, subject: str, version: int, form: str = "") -> dict[str, Any]:
        """A schema that another one refers to.

        Raises
        ------
        StreamError
            If it is not there, or the registry can't be reached.
        """
        found = self._get(f"/subjects/{parse.quote(subject, safe='')}/versions/{version}", form)
        if found is None:
            raise StreamError(
                f"Schema registry {self.location}: version {version} of the subject '{subject}' is not there, and "
                "another schema refers to it. Register it."
            )
        return found

    def _get(self, path: str, form: str) -> dict[str, Any] | None:
        path += f"?format={form}" if form else ""
        if path not in self._kept:
            found = self._asked(path)
            if found is None:  # it may be registered yet
                return None
            self._kept[path] = found
        return self._kept[path]

    def _asked(self, path: str) -> dict[str, Any] | None:
        deadline = time.monotonic() + self.reach_seconds
        while True:
            try:
                return self._answer(path)
            except (OSError, ValueError) as failed:
                refused = isinstance(failed, error.HTTPError) and failed.code < _BROKEN
                if refused or time.monotonic() > deadline:
                    raise StreamError(
                        f"Schema registry {self.location} does not tell the schema {path}: {failed}. Check that it is "
                        "running, and the setting `schema_registry`; it goes on where it stopped."
                    ) from failed
            time.sleep(_PAUSE_SECONDS)

    def _answer(self, path: str) -> dict[str, Any] | None:
        asked = request.Request(self.location + path, headers=self._headers)  # noqa: S310  # its scheme was checked
        try:
            with request.urlopen(asked, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
                found: dict[str, Any] = json.load(answer)
                return found
        except error.HTTPError as failed:
            with failed:
                if failed.code == _NOT_FOUND:
                    return None
                raise


def check_kind(registry: SchemaRegistry, number: int, found: Mapping[str, Any], kind: str) -> None:
    """Refuse a schema of another kind than the source declares.

    Raises
    ------
    StreamError
        Naming both.
    """
    is_kind = found.get("schemaType", "AVRO")
    if is_kind != kind:
        raise StreamError(
            f"Schema registry {registry.location}: schema {number} is of {is_kind}, but the source says "
            f"format='{kind.lower()}'. Mend the source's format."
        )
