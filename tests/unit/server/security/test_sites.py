"""A page of another site can't ask through a visitor's browser."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.server.security.refusals import ForbiddenError
from headrace.server.security.settings import SecuritySettings
from headrace.server.security.sites import Sites, sites_of


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (None, None), ("127.0.0.1:6566", None), ("localhost:6566", None), ("LocalHost", None), ("[::1]:6566", None),
        ("[::1]", None), ("127.0.0.1:6566", "http://127.0.0.1:6566"), ("localhost:6566", "https://localhost:6566"),
        ("localhost:6566", "https://tools.example.com"), ("features.example.com", None),
    ],
)  # fmt: skip
def test_own_pages_and_programs_may_ask(host: str | None, origin: str | None) -> None:
    sites = Sites.of_loopback(("features.example.com",), ("https://tools.example.com/",))
    for _ in range(2):
        sites.check(host, origin)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("evil.example", None), ("evil.example:6566", None), ("127.0.0.1.evil.example:6566", None), ("", None),
        ("localhost:x", None), ("localhost@evil.example", None), ("[::1", None), ("::1", None),
        ("127.0.0.1:6566", "https://evil.example"), ("127.0.0.1:6566", "null"), ("127.0.0.1:6566", ""),
        ("127.0.0.1:6566", "http://127.0.0.1:3000"), ("127.0.0.1:6566", "http://localhost:6566"),
        ("127.0.0.1:6566", "http://["), (None, "http://127.0.0.1"), ("127.0.0.1:6566", "https://tools.example.com.evil"),
    ],
)  # fmt: skip
def test_others_are_refused(host: str | None, origin: str | None) -> None:
    sites = Sites.of_loopback(origins=("https://tools.example.com",))
    for _ in range(2):
        with pytest.raises(ForbiddenError):
            sites.check(host, origin)


def test_beyond_this_machine_any_name_may_lead_here_unless_names_are_given() -> None:
    Sites(None).check("anything.example", None)
    Sites(None).check("anything.example", "https://anything.example")
    with pytest.raises(ForbiddenError):
        Sites(None).check("anything.example", "https://evil.example")
    with pytest.raises(ForbiddenError):
        Sites(("features.example",)).check("anything.example", None)


@pytest.mark.parametrize(
    ("address", "settings", "is_right"),
    [
        ("127.0.0.1", SecuritySettings(), False),
        ("127.0.0.1", SecuritySettings(hosts=("features.example",)), True),
        ("127.0.0.1", SecuritySettings(behind_proxy=True), True),
        ("0.0.0.0", SecuritySettings(), True),
        ("0.0.0.0", SecuritySettings(hosts=("other.example",)), False),
    ],
)
def test_which_names_are_right_depends_on_the_address(address: str, settings: SecuritySettings, is_right: bool) -> None:
    sites = sites_of(address, settings)
    if is_right:
        sites.check("features.example", None)
        return
    with pytest.raises(ForbiddenError):
        sites.check("features.example", None)


def test_what_is_remembered_is_bounded() -> None:
    sites = Sites(None)
    for number in range(1_000):
        sites.check(f"{number}.example", None)
    assert len(sites._right) == 256


@given(st.none() | st.text(), st.none() | st.text())
def test_any_headers_are_let_in_or_refused(host: str | None, origin: str | None) -> None:
    with suppress(ForbiddenError):
        Sites.of_loopback().check(host, origin)
