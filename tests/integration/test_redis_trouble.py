"""A Redis server in trouble: a clear error, nothing torn, and a store that works again afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from headrace.errors import OnlineStoreError
from headrace.online.redis import RedisStore
from tests.integration.own_redis import OwnRedis
from tests.online_stores import is_whole, items, numbered, value

pytestmark = pytest.mark.redis

KEYS = numbered(10_000)


@pytest.fixture
def server(redis_server: str, tmp_path: Path) -> Iterator[OwnRedis]:
    server = OwnRedis(redis_server, tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def store(server: OwnRedis) -> Iterator[RedisStore]:
    store = RedisStore(server.url)
    yield store
    store.close()


def test_a_server_that_dies_in_the_middle_is_told_and_used_again(server: OwnRedis, store: RedisStore) -> None:
    def deadly() -> Iterator[tuple[bytes, bytes]]:
        yield from items(KEYS[:5000], 1)
        server.kill()
        yield from items(KEYS[5000:], 1)

    with pytest.raises(OnlineStoreError, match=rf"redis://127.0.0.1:{server.port} .*can't be reached"):
        store.put_many(deadly())
    with pytest.raises(OnlineStoreError, match="can't be reached"):
        store.get_many(KEYS[:3])
    server.start()
    assert store.put_many(items(KEYS, 1)) == 0  # the script is not there any more
    assert dict(store.scan(b"")) == dict(items(KEYS, 1))


def test_a_connection_that_was_dropped_while_idle_is_not_noticed(server: OwnRedis, store: RedisStore) -> None:
    store.put_many(items(KEYS[:3], 1))
    server.tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert store.get_many(KEYS[:3]) == [value(key, 1) for key in KEYS[:3]]
    server.tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert store.put_many(items(KEYS[:3], 2)) == 0


def test_scripts_that_were_flushed_are_loaded_again(server: OwnRedis, store: RedisStore) -> None:
    store.put_many(items(KEYS, 2))
    server.tell("SCRIPT", "FLUSH")
    assert store.put_many(items(KEYS, 1)) == len(KEYS)


def test_full_memory_is_told_and_what_was_written_stays_whole(server: OwnRedis, store: RedisStore) -> None:
    store.put_many(items(KEYS[:100], 1))
    server.tell("CONFIG", "SET", "maxmemory", "2500000")
    with pytest.raises(OnlineStoreError, match=r"its memory is full\. Raise maxmemory"):
        store.put_many(items(KEYS, 2))
    found = dict(store.scan(b""))
    assert all(is_whole(key, each) for key, each in found.items())
    assert set(KEYS[:100]) <= set(found)
    server.tell("CONFIG", "SET", "maxmemory", "0")
    assert store.put_many(items(KEYS, 2)) == 0
    assert dict(store.scan(b"")) == dict(items(KEYS, 2))


def test_a_replica_is_told_and_read(server: OwnRedis, store: RedisStore) -> None:
    store.put_many(items([b"a"], 1))
    server.tell("CONFIG", "SET", "replica-serve-stale-data", "yes")
    server.tell("REPLICAOF", "127.0.0.1", "1")
    assert store.get_many([b"a"]) == [value(b"a", 1)]
    with pytest.raises(OnlineStoreError, match="it is a replica"):
        store.put_many(items([b"a"], 2))
    with pytest.raises(OnlineStoreError, match="it is a replica"):
        store.delete_many([b"a"])


def test_a_server_that_is_loading_is_told(server: OwnRedis, store: RedisStore) -> None:
    store.put_many(items(KEYS, 1))
    server.tell("SAVE")
    server.kill()
    server.start("--key-load-delay", "10000", "--loading-process-events-interval-bytes", "1024")
    with pytest.raises(OnlineStoreError, match=r"loading its data\. Try again"):
        store.get_many(KEYS[:1])


@pytest.mark.parametrize("secret", ["", "wr%6Fng-secret"])
def test_a_password_that_is_missing_or_wrong_is_told_and_not_shown(server: OwnRedis, secret: str) -> None:
    server.kill()
    server.start("--requirepass", "right-secret")
    right = RedisStore(f"redis://:right-secret@127.0.0.1:{server.port}/0")
    right.put_many(items([b"a"], 1))
    right.close()
    store = RedisStore(f"redis://:{secret}@127.0.0.1:{server.port}/0" if secret else server.url)
    for use in (lambda: store.get_many([b"a"]), lambda: store.put_many(items([b"a"], 2))):
        with pytest.raises(OnlineStoreError, match="does not accept the password") as told:
            use()
        assert "wrong-secret" not in str(told.value)
    assert "secret" not in right.location + store.location
    store.close()


def test_a_command_that_is_not_allowed_is_told(server: OwnRedis) -> None:
    server.tell("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+mget", "+scan", "+client")
    store = RedisStore(f"redis://reader:pw@127.0.0.1:{server.port}/0")
    assert store.get_many([b"a"]) == [None]
    with pytest.raises(OnlineStoreError, match=r"this user may not do that: .*evalsha.*ACL SETUSER"):
        store.put_many(items([b"a"], 1))
    store.close()


def test_a_server_that_does_not_answer_is_told_in_time(server: OwnRedis) -> None:
    store = RedisStore(f"{server.url}?socket_timeout=0.2")
    store.put_many(items([b"a"], 1))
    server.tell("CLIENT", "PAUSE", "2000", "ALL")
    begun = time.monotonic()
    with pytest.raises(OnlineStoreError, match="does not answer in time"):
        store.get_many([b"a"])
    assert time.monotonic() - begun < 1.5
    store.close()


def test_a_forked_child_has_connections_of_its_own(store: RedisStore) -> None:
    store.put_many(items(KEYS[:100], 1))
    children = []
    for epoch in range(2, 7):
        child = os.fork()
        if not child:
            code = 1
            try:
                store.put_many(items(KEYS[:100], epoch))
                code = 0 if None not in store.get_many(KEYS[:100]) else 2
            finally:
                os._exit(code)
        children.append(child)
    reads = [store.get_many(KEYS[:100]) for _ in range(100)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * 5
    assert all(
        each is not None and is_whole(key, each) for read in reads for key, each in zip(KEYS, read, strict=False)
    )
    assert dict(store.scan(b"")) == dict(items(KEYS[:100], 6))


def test_projects_share_a_server_by_their_prefixes(server: OwnRedis) -> None:
    shops = [RedisStore(server.url, prefix=prefix) for prefix in ("shop:", "shop:*", "")]
    for epoch, shop in enumerate(shops):
        shop.put_many(items([b"a"], epoch))
    assert [shop.get_many([b"a"]) for shop in shops] == [[value(b"a", epoch)] for epoch in range(3)]
    assert [len(list(shop.scan(b""))) for shop in shops] == [2, 1, 3]
    for shop in shops:
        shop.close()


def test_what_expires_is_removed_by_the_server_and_not_early(server: OwnRedis, store: RedisStore) -> None:
    at = 4_000_000_000_000_001
    store.put_many([(b"later", value(b"later", 1, expires_at=at)), (b"past", value(b"past", 1, expires_at=1))])
    with redis.Redis(port=server.port) as client:
        assert client.pexpiretime(b"headrace:later") == 4_000_000_000_001
        assert client.exists(b"headrace:past") == 0
