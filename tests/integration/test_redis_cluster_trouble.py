"""A Redis Cluster in trouble: a clear error in time, nothing torn, and a store that works again afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headrace.errors import OnlineStoreError
from headrace.online.opening import open_store
from headrace.online.redis_cluster import RedisClusterStore
from headrace.online.redis_cluster_slots import SHARDS, tag_of
from tests.online_stores import is_whole, items, numbered, value
from tests.store_servers import SLOTS, ClusterNode, RedisCluster

pytestmark = pytest.mark.redis

KEYS = numbered(3_000)


@pytest.fixture(scope="module")
def servers(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    servers = RedisCluster(tmp_path_factory.mktemp("cluster"))
    servers.start()
    yield servers
    servers.stop()


@pytest.fixture
def store(servers: RedisCluster) -> Iterator[RedisClusterStore]:
    store = RedisClusterStore(servers.url)
    yield store
    servers.start()
    store.delete_many([key for key, _ in store.scan(b"")])
    store.close()


def test_a_node_that_dies_in_the_middle_is_told_in_time_and_used_again(
    servers: RedisCluster, store: RedisClusterStore
) -> None:
    node = servers.nodes[1]

    def deadly() -> Iterator[tuple[bytes, bytes]]:
        yield from items(KEYS, 1)
        yield from items(KEYS, 2)
        yield from items(KEYS, 3)
        node.kill()
        yield from items(KEYS, 4)

    begun = time.monotonic()
    with pytest.raises(OnlineStoreError, match=r"can't be reached|is down"):
        store.put_many(deadly())
    with pytest.raises(OnlineStoreError, match=r"can't be reached|is down"):
        store.get_many(KEYS)
    assert time.monotonic() - begun < 8
    _until(lambda: "is down" in _told(store))  # once the others have noticed, they refuse as well
    servers.start()
    assert store.put_many(items(KEYS, 4)) == 0  # the script is not there any more
    assert dict(store.scan(b"")) == dict(items(KEYS, 4))


def _told(store: RedisClusterStore) -> str:
    try:
        store.get_many(KEYS)
    except OnlineStoreError as error:
        return str(error)
    return ""


@pytest.mark.thorough
def test_a_replica_that_takes_over_is_followed(redis_server: str, tmp_path: Path) -> None:
    servers, replica = RedisCluster(tmp_path), ClusterNode(tmp_path / "replica")
    try:
        servers.start()
        first, master, _ = servers.nodes
        replica.start()
        replica.tell("CLUSTER", "MEET", "127.0.0.1", str(first.port), str(first.port + 1))
        master_id = master.tell("CLUSTER", "MYID").decode()  # type: ignore[attr-defined]
        _until(lambda: master_id in str(replica.tell("CLUSTER", "NODES")))
        replica.tell("CLUSTER", "REPLICATE", master_id)
        _until(lambda: "'master_link_status': 'up'" in str(replica.tell("INFO", "replication")))
        store = RedisClusterStore(servers.url)
        store.put_many(items(KEYS, 1))
        master.tell("WAIT", "1", "5000")
        begun = time.monotonic()
        master.kill()
        _until(lambda: not _told(store))
        assert time.monotonic() - begun < 15
        assert store.get_many(KEYS) == [value(key, 1) for key in KEYS]
        assert store.put_many(items(KEYS, 2)) == 0
        assert dict(store.scan(b"")) == dict(items(KEYS, 2))
        store.close()
    finally:
        replica.stop()
        servers.stop()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_node_that_stands_still_is_told_in_time(servers: RedisCluster) -> None:
    store = open_store(f"{servers.url}?socket_timeout=0.3", Path())
    store.put_many(items(KEYS, 1))
    servers.nodes[2].pause()
    begun = time.monotonic()
    try:
        with pytest.raises(OnlineStoreError, match=r"does not answer in time|can't be reached"):
            store.get_many(KEYS)
        assert time.monotonic() - begun < 3
    finally:
        servers.nodes[2].resume()
    servers.wait()
    assert store.get_many(KEYS) == [value(key, 1) for key in KEYS], "an answer that came late is not another's"
    store.close()


def test_a_connection_that_was_dropped_while_idle_is_not_noticed(
    servers: RedisCluster, store: RedisClusterStore
) -> None:
    store.put_many(items(KEYS, 1))
    for node in servers.nodes:
        node.tell("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert store.get_many(KEYS[:3]) == [value(key, 1) for key in KEYS[:3]]
    assert store.put_many(items(KEYS, 2)) == 0


def test_scripts_that_were_flushed_are_loaded_again(servers: RedisCluster, store: RedisClusterStore) -> None:
    store.put_many(items(KEYS, 2))
    for node in servers.nodes[:2]:
        node.tell("SCRIPT", "FLUSH")
    assert store.put_many(items(KEYS, 1)) == len(KEYS)


def test_slots_that_move_to_another_node_are_followed(servers: RedisCluster, store: RedisClusterStore) -> None:
    """While they move (half of a shard's keys are there already), and afterwards."""
    store.put_many(items(KEYS, 1))
    source, target, _ = servers.nodes
    slot, tag = _first_slot(source), tag_of(0)
    keys = [key for key in _keys_in(source, slot) if b"{" + tag + b"}" in key]
    assert len(keys) > 4
    assert set(KEYS) >= {key.partition(b"}")[2] for key in keys}
    source_id, target_id = (str(node.tell("CLUSTER", "MYID").decode()) for node in (source, target))  # type: ignore[attr-defined]
    target.tell("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    source.tell("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    _migrate(source, target, keys[::2])
    assert store.get_many(KEYS) == [value(key, 1) for key in KEYS]
    assert store.put_many(items(KEYS, 2)) == 0
    assert store.delete_many([keys[0].partition(b"}")[2], keys[1].partition(b"}")[2]]) == 2
    assert store.put_many(items(KEYS, 2)) == 0
    _migrate(source, target, keys)
    assert store.get_many(KEYS) == [value(key, 2) for key in KEYS]
    for node in (target, source):
        node.tell("CLUSTER", "SETSLOT", slot, "NODE", target_id)
    assert store.get_many(KEYS) == [value(key, 2) for key in KEYS]
    assert store.put_many(items(KEYS, 3)) == 0
    assert store.put_many(items(KEYS, 2)) == len(KEYS)
    assert dict(store.scan(b"rview")) == dict(items(KEYS, 3))
    assert store.delete_many(KEYS) == len(KEYS)
    target.tell("CLUSTER", "SETSLOT", slot, "NODE", source_id)
    source.tell("CLUSTER", "SETSLOT", slot, "NODE", source_id)


def _first_slot(node: ClusterNode) -> str:
    return str(node.tell("CLUSTER", "KEYSLOT", tag_of(0).decode()))


def _keys_in(node: ClusterNode, slot: str) -> list[bytes]:
    found = node.tell("CLUSTER", "GETKEYSINSLOT", slot, "1000")
    assert isinstance(found, list)
    return found


def _migrate(source: ClusterNode, target: ClusterNode, keys: list[bytes]) -> None:
    import redis

    with redis.Redis(port=source.port) as client:
        client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)


def test_shards_are_spread_evenly_over_nodes(servers: RedisCluster, store: RedisClusterStore) -> None:
    store.put_many(items(KEYS, 1))
    counts = [node.tell("DBSIZE") for node in servers.nodes]
    assert sum(counts) == len(KEYS)  # type: ignore[arg-type]
    assert max(counts) - min(counts) < len(KEYS) / 10  # type: ignore[operator, type-var]
    slots = {servers.nodes[0].tell("CLUSTER", "KEYSLOT", tag_of(shard).decode()) for shard in range(SHARDS)}
    assert sorted(int(str(slot)) * SHARDS // SLOTS for slot in slots) == list(range(SHARDS))


def test_what_expires_is_removed_by_the_nodes_and_what_lasts_is_not(
    servers: RedisCluster, store: RedisClusterStore
) -> None:
    soon = int(time.time() * 1_000_000) + 300_000
    store.put_many((key, value(key, 1, expires_at=soon)) for key in KEYS[:100])
    store.put_many(((key, value(key, 1, expires_at=soon)) for key in KEYS[100:110]), lasting=True)
    assert None not in store.get_many(KEYS[:110])
    time.sleep(0.5)
    assert store.get_many(KEYS[:100]) == [None] * 100
    assert None not in store.get_many(KEYS[100:110])
    assert sum(node.tell("DBSIZE") for node in servers.nodes) == 10  # type: ignore[misc]


def test_one_node_that_can_be_reached_is_enough(servers: RedisCluster, store: RedisClusterStore) -> None:
    store.put_many(items(KEYS, 1))
    other = RedisClusterStore(f"redis-cluster://127.0.0.1:1,{servers.nodes[0].address}/0")
    assert other.get_many(KEYS) == [value(key, 1) for key in KEYS]
    other.close()


def test_no_cluster_no_node_and_wrong_passwords_are_told(servers: RedisCluster, redis_url: str) -> None:
    single = redis_url.partition("://")[2].partition("/")[0]
    wrong = {
        f"redis-cluster://{single}": r"it is no cluster\. Write redis://host:port/0",
        "redis-cluster://127.0.0.1:1": "can't be reached",
        f"redis-cluster://reader:wr%6Fng-secret@{servers.nodes[0].address}": "does not accept the password",
    }
    for node in servers.nodes:
        node.tell("ACL", "SETUSER", "reader", "on", ">right-secret", "~*", "+@all")
    for url, message in wrong.items():
        store = open_store(url, Path())
        assert "secret" not in store.location
        with pytest.raises(OnlineStoreError, match=message) as told:
            store.get_many([b"a"])
        with pytest.raises(OnlineStoreError, match=message):
            store.put_many(items([b"a"], 2))
        assert "wrong-secret" not in str(told.value)
        store.close()


def test_a_forked_child_has_connections_of_its_own(store: RedisClusterStore) -> None:
    store.put_many(items(KEYS[:100], 1))
    children = []
    for epoch in range(2, 5):
        child = os.fork()
        if not child:
            code = 1
            try:
                store.put_many(items(KEYS[:100], epoch))
                code = 0 if None not in store.get_many(KEYS[:100]) else 2
            finally:
                os._exit(code)
        children.append(child)
    reads = [store.get_many(KEYS[:100]) for _ in range(50)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 3
    assert all(is_whole(key, each or b"") for found in reads for key, each in zip(KEYS, found, strict=False))
