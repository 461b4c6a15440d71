"""What the server says went wrong, as an error of its kind."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from headrace_client.errors import (
    HeadraceClientError,
    InvalidRequest,
    NotFound,
    Overloaded,
    ServerFailed,
    Unauthorized,
    Unavailable,
)

_NEAREST: Final = re.compile(r"Did you mean ([^?]*)\?")
_SHED: Final = re.compile("overload|shed|busy|ratelimit", re.IGNORECASE)
_MOST_TOLD: Final = 500


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> HeadraceClientError:
    """The error that an answer tells of.

    Parameters
    ----------
    status : int
        Its status, 300 or above.
    headers : mapping of str to str
        Its headers, with names in lower case.
    body : bytes
        ``{"error": {"type": …, "message": …}}``, Feast's ``{"detail": …}``, or what a proxy on the way says.
    """
    kind, message, details = _said(body)
    error = _made(status, headers, kind, message or f"the server answered {status} without a word.")
    error.details = details
    return error


def _made(status: int, headers: Mapping[str, str], kind: str, message: str) -> HeadraceClientError:
    if status == 429 or (status == 503 and _SHED.search(kind)):
        return Overloaded(message, status=status, kind=kind, retry_after_seconds=retry_after_seconds(headers))
    if status == 404:
        return NotFound(message, status=status, kind=kind, nearest=nearest(message))
    return _plain_kind(status)(message, status=status, kind=kind)


def _plain_kind(status: int) -> type[HeadraceClientError]:
    if status in (401, 403):
        return Unauthorized
    if status in (502, 503, 504):
        return Unavailable
    return InvalidRequest if 400 <= status < 500 else ServerFailed


def nearest(message: str) -> tuple[str, ...]:
    """The names that a message offers.

    Examples
    --------
    >>> nearest("there is no feature 'totl'. Did you mean 'total'? There are: n, total.")
    ('total',)
    """
    found = _NEAREST.search(message)
    return tuple(re.findall(r"'([^']+)'", found[1])) if found else ()


def _said(body: bytes) -> tuple[str, str, dict[str, Any]]:
    """The kind, the message, and what else there is."""
    try:
        found = json.loads(body)
    except ValueError:
        return "", body.decode(errors="replace").strip()[:_MOST_TOLD], {}
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, dict):
        return str(error.pop("type", "")), str(error.pop("message", "")), error
    return "", _detail(found)[:_MOST_TOLD], {}


def _detail(found: Any) -> str:
    if isinstance(found, dict) and "detail" in found:
        found = found["detail"]
    return found if isinstance(found, str) else json.dumps(found)


def retry_after_seconds(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """How long the server asks to wait, as a number of seconds or as a time; None if it does not, or not clearly.

    Examples
    --------
    >>> retry_after_seconds({"retry-after": "3"})
    3.0
    """
    said = headers.get("retry-after", "").strip()
    if not said:
        return None
    if said.replace(".", "", 1).isdecimal():
        return float(said)
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
