"""What a token's claims allow: what is not understood allows nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.server.security.caller import RIGHTS
from headrace.server.security.claims import allowed_by

NOTHING: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("value", "rights", "services"),
    [
        ("read", {"read"}, None),
        ("read:eta_model push", {"read", "push"}, {"eta_model"}),
        ("read:a read:b", {"read"}, {"a", "b"}),
        ("read:a read", {"read"}, None),
        ("openid profile admin", {"admin"}, None),
        ("read: push", {"push"}, None),
        ("push:a", set(), None),
        ("READ", set(), None),
        ("", set(), None),
        (["read:a", 7, "push"], {"read", "push"}, {"a"}),
        ({"rights": ["read"]}, {"read"}, None),
        ({"rights": ["read", "fly", 1], "services": ["a"]}, {"read"}, {"a"}),
        ({"rights": ["read"], "services": []}, {"read"}, set()),
    ],
)
def test_what_is_allowed(value: Any, rights: set[Any], services: set[str] | None) -> None:
    expected = (frozenset(rights), None if services is None else frozenset(services))
    assert allowed_by({"scope": value}, "scope") == expected


@pytest.mark.parametrize(
    "value",
    [
        None, 7, True, {}, {"rights": "read"}, {"services": ["a"]}, {"rights": ["read"], "services": None},
        {"rights": ["read"], "services": "a"}, {"rights": ["read"], "services": [1]}, {"rights": [["read"]]},
    ],
)  # fmt: skip
def test_what_is_of_another_form_allows_nothing(value: Any) -> None:
    rights, _ = allowed_by({"scope": value}, "scope")
    assert rights == set()
    assert allowed_by({}, "scope") == NOTHING


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(RIGHTS),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["rights", "services"]), inner),
)


@given(JSON)
def test_anything_is_understood_or_allows_nothing(value: Any) -> None:
    rights, services = allowed_by({"headrace": value}, "headrace")
    assert rights <= set(RIGHTS)
    assert services is None or all(isinstance(service, str) for service in services)
