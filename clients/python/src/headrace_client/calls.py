"""What each method of both clients does, as plans: see `headrace_client.retrying`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import quote

from headrace_client.answers import features_of
from headrace_client.columns import Columns, Rows, columns_of, encoded, time_text
from headrace_client.errors import NotFound, ServerFailed, Unavailable
from headrace_client.features import Features, joined
from headrace_client.retrying import Deadline, Plan, Reply, Retrying, call

Wanted: TypeAlias = str | Sequence[str]
Times: TypeAlias = datetime | str | None


@dataclass(frozen=True, slots=True)
class Calls:
    """Makes the plans of one client.

    Parameters
    ----------
    timeout_seconds : float
        What a call may take in all.
    retrying : Retrying
        When it is tried again.
    most_rows : int, optional
        A request for more entities is asked in parts.
    knows_types : bool
        Whether the types of a service's features are asked for, once.
    """

    timeout_seconds: float
    retrying: Retrying
    most_rows: int | None
    knows_types: bool
    _types: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def features(
        self, wanted: Wanted, entities: Rows, at: Times, full_names: bool, timeout_seconds: float | None
    ) -> Plan[Features]:
        """Features of some entities."""
        deadline = self._deadline(timeout_seconds)
        columns = columns_of(entities, "entities")
        types = yield from self._types_of(wanted, deadline)
        parts = split(columns, self.most_rows)
        at = datetime.now(UTC) if at is None and len(parts) > 1 else at
        question = _question(wanted, at, full_names)
        for _ in range(self.retrying.retries + 1):
            answers = yield from self._answers(question, parts, types, deadline)
            if isinstance(wanted, str):
                self._types.setdefault(wanted, types)
            if all(answer.versions == answers[0].versions for answer in answers):
                return joined(answers)
        raise Unavailable(
            f"a request of {len(parts)} parts never got all of them from the same versions of its "
            "views: they are being published one after another. Ask for fewer entities at once, or again later."
        )

    def _answers(
        self, question: Mapping[str, Any], parts: Sequence[Columns], types: Mapping[str, str], deadline: Deadline
    ) -> Plan[list[Features]]:
        """The answers to all parts of a request."""
        answers = []
        for part in parts:
            body = encoded({**question, "entities": part})
            reply = yield from call("POST", "/get-online-features", body, deadline, self.retrying)
            try:
                answers.append(features_of(reply.body, part, types))
            except ServerFailed:
                self._types.pop(question.get("feature_service", ""), None)  # a definition may have changed
                raise
        return answers

    def push(
        self, source: str, rows: Rows, wait_seconds: float | None, timeout_seconds: float | None
    ) -> Plan[dict[str, Any]]:
        """Push rows; the wait comes on top of the time that a call may take."""
        deadline = self._deadline(timeout_seconds, wait_seconds or 0.0)
        question: dict[str, Any] = {"push_source_name": source, "df": columns_of(rows, "rows"), "to": "online"}
        if wait_seconds is not None:
            question["wait_seconds"] = wait_seconds
        reply = yield from call("POST", "/push", encoded(question), deadline, self.retrying)
        return _object(reply)

    def services(self, timeout_seconds: float | None) -> Plan[list[dict[str, Any]]]:
        """The services that there are."""
        reply = yield from call("GET", "/v1/services", None, self._deadline(timeout_seconds), self.retrying)
        found: list[dict[str, Any]] = _object(reply).get("services", [])
        return found

    def health(self, timeout_seconds: float | None) -> Plan[dict[str, Any]]:
        """Whether the server answers."""
        reply = yield from call("GET", "/health", None, self._deadline(timeout_seconds), self.retrying)
        return _object(reply)

    def _deadline(self, timeout_seconds: float | None, more: float = 0.0) -> Deadline:
        return Deadline((self.timeout_seconds if timeout_seconds is None else timeout_seconds) + more)

    def _types_of(self, wanted: Wanted, deadline: Deadline) -> Plan[Mapping[str, str]]:
        """The types of a service's features; none where a server, such as Feast's, does not say them."""
        if not self.knows_types or not isinstance(wanted, str):
            return {}
        if wanted in self._types:
            return self._types[wanted]
        try:
            reply = yield from call("GET", f"/v1/services/{quote(wanted, safe='')}", None, deadline, self.retrying)
        except NotFound:
            return {}  # no such service, which the request itself will tell; or no such path, as in Feast's server
        return types_in(_object(reply))


def types_in(service: Mapping[str, Any]) -> dict[str, str]:
    """The types of a service's features by name, full and bare; a bare name that two features have is left out."""
    full = {each["name"]: each["type"] for each in service.get("features", [])}
    bare = [name.split("__", 1)[-1] for name in full]
    return full | {name: found for name, found in zip(bare, full.values(), strict=True) if bare.count(name) == 1}


def split(columns: Columns, most_rows: int | None) -> list[Columns]:
    """Columns in parts of at most so many rows, in their order; at least one part."""
    count = max(map(len, columns.values()), default=0)
    if most_rows is None or count <= most_rows:
        return [columns]
    return [
        {name: values[first : first + most_rows] for name, values in columns.items()}
        for first in range(0, count, most_rows)
    ]


def _question(wanted: Wanted, at: Times, full_names: bool) -> dict[str, Any]:
    named = {"feature_service": wanted} if isinstance(wanted, str) else {"features": list(wanted)}
    when = {} if at is None else {"at": time_text(at)}
    return {**named, "full_feature_names": full_names, **when}


def _object(reply: Reply) -> dict[str, Any]:
    """A body that is a JSON object; Feast's server sends none at all, or null, where there is nothing to say."""
    if not reply.body.strip():
        return {}
    try:
        found = json.loads(reply.body)
    except ValueError as error:
        raise ServerFailed(f"what answered is no feature server: {error}.", status=reply.status) from error
    return found if isinstance(found, dict) else {}
