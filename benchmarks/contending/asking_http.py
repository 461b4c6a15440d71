"""Asking a running server for features, as any client does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from benchmarks.killing.answers import SERVICES
from benchmarks.killing.oracle import Values
from headrace.errors import NotAppliedError
from headrace.platform import Platform
from headrace.timeline.packed import STATUSES
from headrace.types import instant_text

_TIMEOUT_SECONDS = 60


def ask_server(platform: Platform, address: str) -> Callable[[str, int], dict[str, list[Values]]]:
    """What asks a server for all entities of a service at a time, and gives each view's values.

    Parameters
    ----------
    platform : Platform
        The project: says which columns are of which view.
    address : str
        The server's.
    """

    def ask(service: str, at: int) -> dict[str, list[Values]]:
        body = {"feature_service": service, "entities": SERVICES[service], "full_feature_names": True}
        answer = _asked(address, {**body, "at": instant_text(at)})
        columns = dict(zip(answer["metadata"]["feature_names"], map(_pairs, answer["results"]), strict=True))
        views = [chosen.view for chosen in platform.definitions.service(service).read_selections]
        return {
            view.name: [*zip(*(columns[f"{view.name}__{feature}"] for feature in view.features), strict=True)]
            for view in views
        }

    return ask


def _pairs(column: dict[str, Any]) -> list[tuple[int, Any]]:
    return [(STATUSES.index(s), value) for s, value in zip(column["statuses"], column["values"], strict=True)]


def _asked(address: str, body: dict[str, Any]) -> dict[str, Any]:
    request = Request(f"{address}/get-online-features", json.dumps(body).encode())  # noqa: S310 - our own server
    try:
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - our own server
            found: dict[str, Any] = json.load(response)
            return found
    except HTTPError as error:
        with error:
            told = json.load(error)["error"]
        if told["type"] == "NotAppliedError":
            raise NotAppliedError(told["message"]) from None
        raise
