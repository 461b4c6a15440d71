"""What a token's claims allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from headrace.server.security.caller import RIGHTS, GrantedRight

_NOTHING: Final[tuple[frozenset[GrantedRight], frozenset[str] | None]] = (frozenset(), frozenset())
_BY_NAME: Final[Mapping[str, GrantedRight]] = {right: right for right in RIGHTS}


def allowed_by(claims: Mapping[str, Any], name: str) -> tuple[frozenset[GrantedRight], frozenset[str] | None]:
    """The rights that a claim gives, and the services it gives them for (None: all).

    A text, or a list of texts, are words such as ``read``, ``push`` or ``read:SERVICE``; others, which are meant for
    somebody else, are passed over. A table has ``rights`` and, unless for all, ``services``. What is of another form
    gives nothing.

    Examples
    --------
    >>> allowed_by({"scope": "openid push"}, "scope")
    (frozenset({'push'}), None)
    >>> allowed_by({"headrace": {"rights": ["read"], "services": ["eta_model"]}}, "headrace")
    (frozenset({'read'}), frozenset({'eta_model'}))
    """
    value = claims.get(name)
    if isinstance(value, str):
        return _of_words(value.split())
    if isinstance(value, list):
        return _of_words([word for word in value if isinstance(word, str)])
    return _of_table(value) if isinstance(value, dict) else _NOTHING


def _of_words(words: list[str]) -> tuple[frozenset[GrantedRight], frozenset[str] | None]:
    rights = {_BY_NAME[word] for word in words if word in _BY_NAME}
    services = {word.removeprefix("read:") for word in words if word.startswith("read:")} - {""}
    if not services or "read" in rights:
        return frozenset(rights), None
    return frozenset({*rights, _BY_NAME["read"]}), frozenset(services)


def _of_table(table: Mapping[str, Any]) -> tuple[frozenset[GrantedRight], frozenset[str] | None]:
    rights, services = table.get("rights"), table.get("services", ...)
    if not isinstance(rights, list):
        return _NOTHING
    given = frozenset(_BY_NAME[word] for word in rights if isinstance(word, str) and word in _BY_NAME)
    if services is ...:
        return given, None
    if not isinstance(services, list) or not all(isinstance(service, str) for service in services):
        return _NOTHING
    return given, frozenset(services)
