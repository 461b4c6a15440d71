"""How every registry numbers publications, serves them, and keeps holds and pins."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from headrace.errors import LeaseLostError, RegistryError
from headrace.registry.base import Hold
from headrace.registry.sql import SqlRegistry
from tests.contract.registries import HELD, VIEW, everything, finished, pin, publication, started, taken


def test_before_the_first_publication_there_is_nothing(registry: SqlRegistry) -> None:
    assert everything(registry) == ((), {}, {}, (), None)


def test_a_publication_is_kept_as_it_was_given_with_its_number(
    registry: SqlRegistry, open_registry: Callable[..., SqlRegistry]
) -> None:
    wanted = publication("r1", taken(registry).token)
    done = registry.publish(wanted, serve=True)
    assert done == replace(wanted, number=1, content_of=1, served=True)
    other = open_registry()
    assert other.publications(VIEW) == (done,)
    assert other.serving() == {VIEW: done}


def test_each_view_is_numbered_and_served_by_itself(registry: SqlRegistry) -> None:
    one, two = taken(registry).token, taken(registry, view="city_wait").token
    first, second = (registry.publish(publication(run, one), serve=True) for run in ("r1", "r2"))
    other = registry.publish(publication("r1", two, view="city_wait"), serve=True)
    assert [first.number, second.number, other.number] == [1, 2, 1]
    assert registry.serving() == {"city_wait": other, VIEW: second}
    assert registry.publications(VIEW) == (first, second)


def test_what_is_not_to_be_served_leaves_readers_where_they_are(registry: SqlRegistry) -> None:
    token = taken(registry).token
    first = registry.publish(publication("r1", token), serve=True)
    second = registry.publish(publication("r2", token, fingerprint="00aa"), serve=False)
    assert registry.serving() == {VIEW: first}
    registry.serve(VIEW, second.number, token=token)
    assert not second.served
    assert registry.serving() == {VIEW: replace(second, served=True)}


def test_a_rollback_names_the_publication_whose_rows_it_has(registry: SqlRegistry) -> None:
    token = taken(registry).token
    registry.publish(publication("r1", token), serve=True)
    done = registry.publish(publication("r2", token, kind="rollback", content_of=1, generation=2), serve=True)
    assert (done.number, done.content_of) == (2, 1)


def test_a_number_that_was_never_given_is_not_served(registry: SqlRegistry) -> None:
    token = taken(registry).token
    first = registry.publish(publication("r1", token), serve=True)
    with pytest.raises(RegistryError, match=r"'driver_now' has no version 2. See which there are: headrace versions"):
        registry.serve(VIEW, 2, token=token)
    assert registry.serving() == {VIEW: first}


def test_publishing_the_same_run_again_changes_nothing(registry: SqlRegistry) -> None:
    first = registry.publish(publication("r1", taken(registry).token), serve=True)
    later = taken(registry, "bob", at=20)
    assert registry.publish(publication("r1", later.token, published_by="bob"), serve=True) == first
    assert registry.publications(VIEW) == (first,)


def test_a_run_can_be_served_when_it_is_published_again(registry: SqlRegistry) -> None:
    token = taken(registry).token
    registry.publish(publication("r1", token), serve=True)
    second = registry.publish(publication("r2", token), serve=False)
    served = replace(second, served=True)
    assert registry.publish(publication("r2", token), serve=True) == served
    assert registry.serving() == {VIEW: served}


def test_publishing_an_old_run_again_does_not_turn_readers_back(registry: SqlRegistry) -> None:
    token = taken(registry).token
    registry.publish(publication("r1", token), serve=True)
    second = registry.publish(publication("r2", token), serve=True)
    registry.publish(publication("r1", token), serve=True)
    assert registry.serving() == {VIEW: second}


def test_a_publisher_whose_lease_another_took_is_refused_in_all_it_does(registry: SqlRegistry) -> None:
    slow = taken(registry)
    registry.publish(publication("r1", slow.token), serve=True)
    taken(registry, "bob", at=20)
    before = everything(registry)
    for attempt in (
        lambda: registry.publish(publication("r2", slow.token), serve=True, hold=HELD),
        lambda: registry.publish(publication("r1", slow.token), serve=True),
        lambda: registry.serve(VIEW, 1, token=slow.token),
        lambda: registry.mark_vacuumed(VIEW, [1], token=slow.token),
    ):
        with pytest.raises(LeaseLostError, match=r"'driver_now'.* under token 1, .*bob \(token 2\).*Run the same"):
            attempt()
    assert everything(registry) == before


def test_nobody_publishes_without_a_lease(registry: SqlRegistry) -> None:
    with pytest.raises(LeaseLostError, match="with nobody"):
        registry.publish(publication("r1", 1), serve=True)
    assert registry.publications(VIEW) == ()


def test_the_lease_of_another_view_does_not_count(registry: SqlRegistry) -> None:
    with pytest.raises(LeaseLostError, match="'driver_now'"):
        registry.publish(publication("r1", taken(registry, view="city_wait").token), serve=True)


def test_what_is_vacuumed_is_marked_and_the_rest_is_not(registry: SqlRegistry) -> None:
    token = taken(registry).token
    for run in ("r1", "r2", "r3"):
        registry.publish(publication(run, token), serve=True)
    registry.mark_vacuumed(VIEW, [1, 2], token=token)
    assert [done.vacuumed for done in registry.publications(VIEW)] == [True, True, False]
    registry.mark_vacuumed(VIEW, [], token=token)
    assert [done.vacuumed for done in registry.publications(VIEW)] == [True, True, False]


def test_a_hold_comes_with_its_publication_and_stays_until_its_release(registry: SqlRegistry) -> None:
    wanted = publication("r1", taken(registry).token, kind="rollback")
    registry.publish(wanted, serve=True, hold=HELD)
    registry.hold(Hold(VIEW, "another reason", 6, "bob"))
    assert registry.holds() == {VIEW: HELD}
    assert registry.release(VIEW) == HELD
    registry.publish(wanted, serve=True, hold=HELD)  # whoever finishes an interrupted publication
    assert registry.holds() == {}
    assert registry.release(VIEW) is None


def test_the_pins_of_an_owner_are_replaced_and_those_of_others_stay(registry: SqlRegistry) -> None:
    other = pin("/b/manifest.json", 2)
    registry.pin([pin("/a/manifest.json", 5), pin("/a/manifest.json", 4), pin("/a/manifest.json", 4), other])
    assert registry.pins() == (pin("/a/manifest.json", 4), pin("/a/manifest.json", 5), other)
    registry.pin([pin("/a/manifest.json", 6)])
    assert registry.pins() == (pin("/a/manifest.json", 6), other)
    assert registry.unpin("/a/manifest.json") == 1
    assert registry.unpin("/a/manifest.json") == 0
    registry.pin([])
    assert registry.pins() == (other,)


def test_a_manifest_may_lie_as_deep_as_a_system_allows(registry: SqlRegistry) -> None:
    deep = pin("/" + "/".join(f"データ{number:04}" * 20 for number in range(20)), 1)
    assert len(deep.owner.encode()) > 4_000
    registry.pin([deep])
    registry.pin([deep])
    assert registry.pins() == (deep,)
    assert registry.unpin(deep.owner) == 1


def test_processes_and_threads_that_publish_at_once_leave_no_gap_and_no_double(
    registry_url: str, registry: SqlRegistry
) -> None:
    turns = 6
    workers = [started(registry_url, "publish", name, str(turns)) for name in ("a", "b")]
    with ThreadPoolExecutor(2) as pool:
        tokens = [int(token) for said in pool.map(finished, workers) for token in said.split()]
    assert sorted(tokens) == list(range(1, 2 * turns + 1))
    found = registry.publications(VIEW)
    assert [done.number for done in found] == [done.token for done in found] == list(range(1, 2 * turns + 1))
    assert sorted(done.run for done in found) == sorted(f"{name}{turn}" for name in "ab" for turn in range(turns))

    token = taken(registry).token
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda run: registry.publish(publication(run, token), serve=True), map(str, range(12))))
    found = registry.publications(VIEW)
    assert [done.number for done in found] == list(range(1, 2 * turns + 13))
    assert registry.serving() == {VIEW: found[-1]}
