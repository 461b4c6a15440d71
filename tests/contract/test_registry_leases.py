"""How every registry grants leases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from headrace.errors import LeaseLostError
from headrace.registry.base import Lease
from headrace.registry.sql import SqlRegistry
from tests.contract.registries import LEASE, publication, taken


def test_a_free_lease_is_taken_and_others_see_whose_it_is(
    registry: SqlRegistry, open_registry: Callable[..., SqlRegistry]
) -> None:
    lease = registry.take_lease(LEASE, "ada", at=10, until=20)
    assert lease == Lease(LEASE, 1, "ada", 20)
    assert open_registry().take_lease(LEASE, "bob", at=19, until=40) == lease


def test_an_expired_lease_is_taken_under_a_greater_token(registry: SqlRegistry) -> None:
    taken(registry, at=10)
    assert registry.take_lease(LEASE, "bob", at=20, until=40) == Lease(LEASE, 2, "bob", 40)


def test_the_lease_of_a_dead_holder_is_taken_at_once_and_only_that_one(registry: SqlRegistry) -> None:
    lease = taken(registry)
    assert registry.take_lease(LEASE, "cyd", at=11, until=21, from_holder="bob") == lease
    assert registry.take_lease(LEASE, "bob", at=11, until=21, from_holder="ada") == Lease(LEASE, 2, "bob", 21)
    assert registry.take_lease(LEASE, "cyd", at=11, until=21, from_holder="ada").holder == "bob"


def test_a_lease_that_is_given_back_is_free_and_its_token_is_never_given_again(registry: SqlRegistry) -> None:
    tokens = []
    for _ in range(3):
        lease = taken(registry)
        tokens.append(lease.token)
        registry.give_back_lease(lease)
    assert tokens == [1, 2, 3]


def test_a_renewed_lease_keeps_its_token(registry: SqlRegistry) -> None:
    lease = taken(registry)
    renewed = registry.renew_lease(lease, until=50)
    assert renewed == Lease(LEASE, lease.token, "ada", 50)
    assert registry.take_lease(LEASE, "bob", at=49, until=60) == renewed


def test_a_lease_that_ran_out_is_renewed_if_nobody_wanted_it(registry: SqlRegistry) -> None:
    lease = taken(registry, at=10)
    assert registry.renew_lease(lease, until=90).token == lease.token


def test_a_lease_that_another_took_is_neither_renewed_nor_given_back(registry: SqlRegistry) -> None:
    slow = taken(registry, at=10)
    fast = taken(registry, "bob", at=20)
    with pytest.raises(LeaseLostError, match=r"'publish-driver_now': token 1 is no longer the newest.*Run the same"):
        registry.renew_lease(slow, until=90)
    registry.give_back_lease(slow)
    assert registry.take_lease(LEASE, "cyd", at=21, until=99) == fast


def test_a_lease_that_nobody_ever_took_is_not_renewed(registry: SqlRegistry) -> None:
    with pytest.raises(LeaseLostError, match="'publish-driver_now'"):
        registry.renew_lease(Lease(LEASE, 1, "ada", 20), until=30)
    registry.give_back_lease(Lease(LEASE, 1, "ada", 20))
    assert taken(registry).token == 1


def test_of_many_that_want_it_at_once_one_has_it(registry: SqlRegistry) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: registry.take_lease(LEASE, f"h{n}", at=10, until=20), range(6)))
    assert len(set(found)) == 1
    assert found[0].token == 1


def test_leases_of_two_views_are_independent(registry: SqlRegistry) -> None:
    one, two = taken(registry), taken(registry, "bob", view="city_wait")
    assert registry.publish(publication("r1", one.token), serve=True).number == 1
    assert registry.publish(publication("r1", two.token, view="city_wait"), serve=True).number == 1
