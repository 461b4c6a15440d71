"""What every online store does: run over each implementation."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from threading import Thread
from urllib.parse import quote

import pytest

from headrace.errors import OnlineStoreError
from headrace.online.base import OnlineStore, expires_at, stamp_of
from headrace.online.opening import open_store
from tests.online_stores import HALVES, HEAD, go, is_whole, items, numbered, start_writer, value
from tests.store_servers import STORES, cluster_url, dynamodb_url

LONG_AGO = 1_000_000
LONG_AHEAD = 4_000_000_000_000_000
NOW = 1_700_000_000_000_000


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "lmdb":
        yield f"lmdb:{tmp_path / 'online'}"
        return
    if request.param == "dynamodb":
        yield from dynamodb_url(request, monkeypatch)
        return
    server = request.getfixturevalue("redis_url") if request.param == "redis" else cluster_url(request)
    prefix = rf"headrace-test-*[a-z]?\{uuid.uuid4().hex}:"  # what SCAN would take for a pattern
    url = f"{server}?prefix={quote(prefix)}"
    yield url
    store = open_store(url, tmp_path)
    store.delete_many([key for key, _ in store.scan(b"")])
    store.close()


@pytest.fixture
def some(request: pytest.FixtureRequest, url: str) -> Callable[[int], int]:
    """How many items a test takes instead of many: DynamoDB puts each by itself, a thousand in a second here."""
    return lambda count: max(count // 80, 200) if url.startswith("dynamodb:") else count


@pytest.fixture
def open_again(url: str, tmp_path: Path) -> Iterator[Callable[..., OnlineStore]]:
    opened: list[OnlineStore] = []

    def make(*, readonly: bool = False) -> OnlineStore:
        opened.append(open_store(url, tmp_path, readonly=readonly))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_again: Callable[..., OnlineStore]) -> OnlineStore:
    return open_again()


def test_before_the_first_write_there_is_nothing(store: OnlineStore) -> None:
    assert store.get_many([b"a", b"b"]) == [None, None]
    assert list(store.scan(b"")) == []
    assert store.delete_many([b"a"]) == 0
    assert store.sweep(b"", NOW) == 0


def test_what_was_put_is_there_for_other_stores_too(store: OnlineStore, open_again: Callable[..., OnlineStore]) -> None:
    assert store.put_many(items([b"a", b"b"], 1)) == 0
    found = open_again(readonly=True).get_many([b"b", b"x", b"a"])
    assert found == [value(b"b", 1), None, value(b"a", 1)]


def test_nothing_in_is_nothing_out(store: OnlineStore) -> None:
    store.put_many(items([b"a"], 1))
    assert store.get_many([]) == []
    assert store.put_many([]) == 0
    assert store.delete_many([]) == 0
    assert list(store.scan(b"b")) == []


def test_a_greater_stamp_stays(store: OnlineStore) -> None:
    """Of the generation first, then the epoch: no byte of them is read as a sign, a letter or a float."""
    stamps = [(0, 0), (0, 1), (0, 255), (0, 256), (0, 2**53), (0, 2**53 + 1), (0, 2**63), (0, 2**64 - 1)]
    stamps += [(1, 0), (1, 127 << 56), (1, 128 << 56), (127, 0), (128, 0), (255, 9), (256, 0), (2**31, 0)]
    values = [value(b"k", epoch, generation=generation) for generation, epoch in [*stamps, (2**32 - 1, 2**64 - 1)]]
    for older, newer in pairwise(values):
        assert store.put_many([(b"k", newer)]) == 0
        assert store.put_many([(b"k", older)]) == 1
        assert store.get_many([b"k"]) == [newer]


def test_an_equal_stamp_overwrites(store: OnlineStore) -> None:
    store.put_many([(b"k", value(b"k", 5) + b"one")])
    assert store.put_many([(b"k", value(b"k", 5) + b"two")]) == 0
    assert store.get_many([b"k"]) == [value(b"k", 5) + b"two"]


def test_only_what_is_older_is_refused(store: OnlineStore) -> None:
    keys = numbered(50)
    store.put_many(items(keys[10:20], 9))
    assert store.put_many(items(keys, 4)) == 10
    found = store.get_many(keys)
    assert [stamp_of(each or b"").epoch for each in found] == [4] * 10 + [9] * 10 + [4] * 30


def test_of_one_key_twice_the_greatest_stamp_stays(store: OnlineStore) -> None:
    assert store.put_many([(b"k", value(b"k", epoch)) for epoch in (2, 7, 3, 7, 6)]) == 2
    assert store.get_many([b"k", b"k"]) == [value(b"k", 7)] * 2


def test_a_key_may_hold_any_bytes(store: OnlineStore) -> None:
    keys = [b"\0", b"\0\0", b"a\0b", b"*", b"?", b"[a-z]", b"\\", b"\xff\xfe", b"\r\n", bytes(range(256))]
    store.put_many((key, value(key, 1)) for key in keys)
    assert store.get_many(keys) == [value(key, 1) for key in keys]
    for key in keys:
        assert dict(store.scan(key)) == {found: value(found, 1) for found in keys if found.startswith(key)}
    assert store.delete_many([b"*", b"[a-z]"]) == 2
    assert {key for key, _ in store.scan(b"")} == set(keys) - {b"*", b"[a-z]"}


def test_values_may_be_large_or_a_header_alone(store: OnlineStore, url: str) -> None:
    times = 1_550 if url.startswith("dynamodb:") else 4_000
    large, small = value(b"large", 1) + bytes(range(256)) * times, value(b"small", 1)[:20]
    store.put_many([(b"large", large), (b"small", small)])
    assert store.get_many([b"large", b"small"]) == [large, small]
    assert store.put_many([(b"large", small), (b"small", large)]) == 0
    assert store.get_many([b"large", b"small"]) == [small, large]


def test_many_items_in_any_order(store: OnlineStore, some: Callable[[int], int]) -> None:
    keys = numbered(some(100_000))
    shuffled = random.Random(1).sample(keys, len(keys))
    assert store.put_many((key, value(key, 2)) for key in shuffled) == 0
    assert dict(store.scan(b"rview")) == dict(items(keys, 2))
    assert store.put_many(items(keys, 1)) == len(keys)
    assert store.put_many(items(keys[::2], 3)) == 0
    assert [stamp_of(found or b"").epoch for found in store.get_many(keys[:6])] == [3, 2] * 3
    assert store.delete_many(iter(keys)) == len(keys)
    assert list(store.scan(b"")) == []


def test_a_scan_sees_its_prefix_alone_and_may_delete_what_it_sees(
    store: OnlineStore, some: Callable[[int], int]
) -> None:
    keys = numbered(some(3_000))
    store.put_many([*items(keys, 1), *items([b"rvie", b"rviex", b"s", b"q"], 1)])
    assert store.delete_many(key for key, _ in store.scan(b"rview")) == len(keys)
    assert {key for key, _ in store.scan(b"")} == {b"rvie", b"rviex", b"s", b"q"}


def test_what_expired_is_gone_once_swept(store: OnlineStore) -> None:
    times = {b"ra": 0, b"rb": LONG_AGO, b"rc": LONG_AHEAD, b"sd": LONG_AGO}
    store.put_many((key, value(key, 1, expires_at=at)) for key, at in times.items())
    store.sweep(b"r", NOW)
    found = store.get_many(list(times))
    assert found[:3] == [value(b"ra", 1), None, value(b"rc", 1, expires_at=LONG_AHEAD)]
    assert found[3] is None or expires_at(found[3]) == LONG_AGO


def test_what_lasts_is_there_after_it_expired_until_it_is_deleted(store: OnlineStore) -> None:
    expired = value(b"k", 2, expires_at=LONG_AGO)
    assert store.put_many([(b"k", expired)], lasting=True) == 0
    assert store.get_many([b"k"]) == [expired]
    assert dict(store.scan(b"k")) == {b"k": expired}
    assert store.put_many(items([b"k"], 1), lasting=True) == 1
    assert store.delete_many([b"k"]) == 1
    assert store.get_many([b"k"]) == [None]


def test_a_lasting_value_replaces_one_that_expires_and_the_other_way_round(store: OnlineStore) -> None:
    for epoch, at in enumerate((LONG_AHEAD, 0, LONG_AHEAD + 7)):
        store.put_many([(b"k", value(b"k", epoch, expires_at=at))])
        assert store.get_many([b"k"]) == [value(b"k", epoch, expires_at=at)]


def test_a_store_for_reading_refuses_to_write(open_again: Callable[..., OnlineStore]) -> None:
    reader = open_again(readonly=True)
    writes: list[Callable[[], object]] = [
        lambda: reader.put_many(items([b"a"], 1)),
        lambda: reader.delete_many([b"a"]),
        lambda: reader.sweep(b"", NOW),
    ]
    for write in writes:
        with pytest.raises(OnlineStoreError, match="was opened for reading"):
            write()
    assert reader.get_many([b"a"]) == [None]


def test_who_sees_the_head_sees_the_records_written_before(url: str, store: OnlineStore) -> None:
    last = 300
    writer = start_writer(url, "flip", last)
    assert store.get_many([HEAD]) == [None]  # it is connected before the writer is
    go(writer)
    heads: set[int] = set()
    while last not in heads and writer.poll() in (None, 0):
        first, then = ([HEAD, *HALVES], []) if store.reads_one_state else ([HEAD], HALVES)
        head, *records = [*store.get_many(first), *store.get_many(then)]
        if head is not None:
            heads.add(stamp_of(head).epoch)
            assert all(record is not None and stamp_of(record) >= stamp_of(head) for record in records)
    assert writer.wait(60) == 0
    assert len(heads) > 2


def test_of_two_processes_that_write_at_once_the_greater_stamp_wins_everywhere(
    url: str, store: OnlineStore, some: Callable[[int], int]
) -> None:
    count = some(5_000)
    writers = [start_writer(url, "once", epoch, count, step) for epoch, step in ((1, 1), (2, -1), (3, 1))]
    go(*writers)
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert dict(store.scan(b"rview")) == dict(items(numbered(count), 3))


def test_threads_share_a_store(store: OnlineStore, some: Callable[[int], int]) -> None:
    keys = numbered(some(2_000))
    found: list[bool] = []

    def write_and_read(epoch: int) -> None:
        for start in range(0, len(keys), 100):
            store.put_many(items(keys[start : start + 100], epoch))
            there = store.get_many(keys[start : start + 100])
            found.append(all(each is not None and stamp_of(each).epoch >= epoch for each in there))

    threads = [Thread(target=write_and_read, args=(epoch,)) for epoch in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * (4 * len(keys) // 100)
    assert dict(store.scan(b"")) == dict(items(keys, 4))


def test_a_writer_that_is_killed_leaves_whole_values_and_a_store_that_works(
    url: str, store: OnlineStore, some: Callable[[int], int]
) -> None:
    keys = numbered(some(30_000))
    writer = start_writer(url, "forever", len(keys))
    go(writer)
    while _epoch(store, keys[-1]) < 2 and writer.poll() is None:
        pass  # until it overwrites
    writer.kill()
    writer.wait(60)
    found = list(store.scan(b"rview"))
    assert {key for key, _ in found} == set(keys)
    assert all(is_whole(key, each) for key, each in found)
    assert store.put_many(items(keys, 2**40)) == 0
    assert dict(store.scan(b"rview")) == dict(items(keys, 2**40))


def _epoch(store: OnlineStore, key: bytes) -> int:
    found = store.get_many([key])[0]
    return 0 if found is None else stamp_of(found).epoch
