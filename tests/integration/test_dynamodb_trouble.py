"""DynamoDB in trouble: a clear error in time, nothing torn, and a store that works again afterwards."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from headrace.errors import OnlineStoreError
from headrace.online.base import OnlineStore, stamp_of
from headrace.online.opening import open_store
from headrace.online.record_keys import record_prefix
from tests.integration.throttling import throttled
from tests.online_stores import is_whole, items, numbered, value
from tests.store_servers import AWS, DynamoServer

KEYS = numbered(250)
ALL = list(enumerate(KEYS))
RECORD = record_prefix("0123456789abcdef")


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in AWS.items():
        monkeypatch.setenv(name, text)


@pytest.fixture(scope="module")
def own(dynamodb_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DynamoServer]:
    """A server that keeps its data when it is killed."""
    with DynamoServer(tmp_path_factory.mktemp("dynamodb"), keeps=True) as server:
        yield server


@pytest.fixture
def url(dynamodb: DynamoServer) -> str:
    return dynamodb.url(f"trouble-{uuid.uuid4().hex}", timeout=2)


@pytest.fixture
def store(url: str) -> Iterator[OnlineStore]:
    store = open_store(url, Path())
    yield store
    store.close()


def client(server: DynamoServer) -> Any:
    import boto3

    return boto3.client("dynamodb", region_name="us-east-1", endpoint_url=f"http://{server.address}")


def table_of(url: str) -> str:
    return url.partition("://")[2].partition("?")[0]


@pytest.mark.thorough
def test_a_server_that_dies_in_the_middle_is_told_in_time_and_used_again(own: DynamoServer) -> None:
    store = open_store(own.url("dies"), Path())

    def deadly() -> Iterator[tuple[bytes, bytes]]:
        yield from items(numbered(1_000), 1)
        own.kill()
        yield from items(KEYS, 2)

    begun = time.monotonic()
    with pytest.raises(OnlineStoreError, match=rf"Can't write to .*http://{own.address}.*can't be reached"):
        store.put_many(deadly())
    with pytest.raises(OnlineStoreError, match=r"Can't read .*can't be reached"):
        store.get_many(KEYS)
    assert time.monotonic() - begun < 20
    own.start()
    assert store.get_many(KEYS) == [value(key, 1) for key in KEYS]
    assert store.put_many(items(KEYS, 2)) == 0
    assert store.get_many(KEYS) == [value(key, 2) for key in KEYS]
    store.close()


@pytest.mark.thorough
def test_a_server_that_stands_still_is_told_in_time(own: DynamoServer) -> None:
    store = open_store(own.url("still", timeout=0.3), Path())
    store.put_many(items(KEYS[:50], 1))
    own.pause()
    begun = time.monotonic()
    try:
        with pytest.raises(OnlineStoreError, match=r"does not answer in time.*timeout="):
            store.get_many(KEYS)
        assert time.monotonic() - begun < 6
    finally:
        own.resume()
    assert store.get_many(KEYS[:50]) == [value(key, 1) for key in KEYS[:50]]
    store.close()


def test_the_table_is_made_once_though_many_begin_at_once(url: str, dynamodb: DynamoServer) -> None:
    stores = [open_store(url, Path()) for _ in range(4)]
    threads = [Thread(target=store.put_many, args=(items(KEYS[:20], epoch),)) for epoch, store in enumerate(stores)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stores[0].get_many(KEYS[:20]) == [value(key, 3) for key in KEYS[:20]]
    told = client(dynamodb).describe_table(TableName=table_of(url))["Table"]
    assert told["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    ttl = client(dynamodb).describe_time_to_live(TableName=table_of(url))["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "t"}
    for store in stores:
        store.close()


def test_a_table_that_was_deleted_is_empty_and_made_again(url: str, store: OnlineStore, dynamodb: DynamoServer) -> None:
    store.put_many(items(KEYS[:20], 5))
    client(dynamodb).delete_table(TableName=table_of(url))
    assert store.get_many(KEYS[:20]) == [None] * 20
    assert list(store.scan(b"")) == list(store.scan(b"r")) == list(store.scan(RECORD)) == []
    assert store.delete_many(KEYS[:20]) == 0
    assert store.put_many(items(KEYS[:20], 1)) == 0
    assert store.get_many(KEYS[:20]) == [value(key, 1) for key in KEYS[:20]]


def test_a_table_made_without_expiry_is_given_it(url: str, store: OnlineStore, dynamodb: DynamoServer) -> None:
    """A process may have been killed between the two."""
    store.put_many(items(KEYS[:1], 1))
    off = {"Enabled": False, "AttributeName": "t"}
    client(dynamodb).update_time_to_live(TableName=table_of(url), TimeToLiveSpecification=off)
    other = open_store(url, Path())
    other.put_many(items(KEYS[:1], 1))
    ttl = client(dynamodb).describe_time_to_live(TableName=table_of(url))["TimeToLiveDescription"]
    assert ttl["TimeToLiveStatus"] == "ENABLED"
    other.close()


@pytest.mark.thorough
def test_what_expires_is_not_read_and_is_deleted_by_the_server_and_what_lasts_is_not(
    url: str, store: OnlineStore, dynamodb: DynamoServer
) -> None:
    soon = int(time.time() * 1_000_000) + 1_500_000
    store.put_many((key, value(key, 1, expires_at=soon)) for key in KEYS[:20])
    store.put_many(((key, value(key, 1, expires_at=soon)) for key in KEYS[20:25]), lasting=True)
    found = client(dynamodb).scan(TableName=table_of(url))["Items"]
    assert {item["t"]["N"] for item in found if "t" in item} == {str(-(-soon // 1_000_000))}
    assert sum("t" in item for item in found) == 20
    assert None not in store.get_many(KEYS[:25])
    time.sleep(soon / 1_000_000 + 1.1 - time.time())
    assert store.get_many(KEYS[:20]) == [None] * 20
    assert {key for key, _ in store.scan(b"r")} == set(KEYS[20:25])
    assert None not in store.get_many(KEYS[20:25])
    assert store.put_many(items(KEYS[:1], 2)) == 0, "what is there yet does not stand in the way"
    assert store.get_many(KEYS[:1]) == [value(KEYS[0], 2)]


@pytest.mark.thorough
def test_the_server_itself_deletes_what_has_expired(url: str, store: OnlineStore, dynamodb: DynamoServer) -> None:
    soon = int(time.time() * 1_000_000) + 1_000_000
    store.put_many((key, value(key, 1, expires_at=soon)) for key in KEYS[:20])
    store.put_many(((key, value(key, 1, expires_at=soon)) for key in KEYS[20:25]), lasting=True)
    deadline = time.monotonic() + 30
    while client(dynamodb).scan(TableName=table_of(url))["Count"] > 5:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert {key for key, _ in store.scan(b"")} == set(KEYS[20:25])


def test_a_records_definition_is_scanned_alone(url: str, store: OnlineStore) -> None:
    own, other = ([prefix + number.to_bytes(4) for number in range(40)] for prefix in (RECORD, b"rfedcba9876543210"))
    store.put_many(items([*own, *other, b"hview"], 1))
    assert dict(store.scan(RECORD)) == dict(items(own, 1))
    assert dict(store.scan(RECORD + b"\0\0\0\1")) == dict(items(own[1:2], 1))
    assert dict(store.scan(RECORD[:9])) == dict(items(own, 1))
    assert len(list(store.scan(b"r"))) == 80


@pytest.mark.thorough
def test_more_than_one_answer_takes_is_read_all(store: OnlineStore) -> None:
    """The service answers with 16 MB at most, and with 1 MB of a scan; the rest is asked for again."""
    large = [(RECORD + bytes([number]), value(b"", 1) + bytes(380_000)) for number in range(60)]
    store.put_many(large)
    assert store.get_many([key for key, _ in large]) == [each for _, each in large]
    assert dict(store.scan(RECORD)) == dict(large)
    assert dict(store.scan(b"")) == dict(large)


@pytest.mark.parametrize(
    ("key", "named"),
    [(RECORD + b"k", "A record of the definition 0123456789abcdef"), (b"hsales", "The head of view 'sales'")],
)
def test_what_is_larger_than_an_item_may_be_is_told(store: OnlineStore, key: bytes, named: str) -> None:
    with pytest.raises(OnlineStoreError, match=rf"{named} has 4\d+ bytes.*at most 409600.*LMDB or Redis"):
        store.put_many([(RECORD + b"a", value(b"a", 1)), (key, value(key, 1) + bytes(409_500))])
    assert store.get_many([RECORD + b"a", key]) == [None, None]
    largest = value(key, 1) + bytes(409_600 - 64 - 2 * len(key) - len(value(key, 1)))
    store.put_many([(key, largest)])
    assert store.get_many([key]) == [largest]


@pytest.mark.thorough
def test_what_is_left_unprocessed_is_asked_for_again(dynamodb: DynamoServer) -> None:
    with throttled(dynamodb.address, most_items=13) as door:
        store = open_store(f"dynamodb://unprocessed?region=us-east-1&endpoint=http://{door.address}", Path())
        assert store.put_many(items(KEYS[:50], 2)) == 0
        assert store.put_many(items(KEYS[:75], 1)) == 50
        assert store.get_many(KEYS) == [value(key, 2 - (place > 49)) if place < 75 else None for place, key in ALL]
        assert door.calls["BatchGetItem"] == 8 + 8 + 4
        assert store.delete_many(KEYS) == 75
        assert door.calls["BatchWriteItem"] == 3 * 2
        assert list(store.scan(b"")) == []
        door.most_items = 0
        for use in (lambda: store.get_many(KEYS), lambda: store.put_many(items(KEYS, 1))):
            begun = time.monotonic()
            with pytest.raises(OnlineStoreError, match="throttled: it takes no more reads or writes for now"):
                use()
            assert time.monotonic() - begun < 12
        door.most_items = 100
        assert store.put_many(items(KEYS, 1)) == 0
        store.close()


def test_no_credentials_and_no_region_are_told(
    url: str, monkeypatch: pytest.MonkeyPatch, dynamodb: DynamoServer
) -> None:
    store = open_store(f"dynamodb://abc?endpoint=http://{dynamodb.address}", Path())
    with pytest.raises(OnlineStoreError, match=r"in which region\. Write dynamodb://TABLE\?region="):
        store.get_many([b"a"])
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = open_store(url, Path())
    for use in (store.get_many, store.delete_many):
        with pytest.raises(OnlineStoreError, match=r"no credentials\. Give them to AWS's own chain"):
            use([b"a"])


def test_a_table_of_somebody_else_is_told(url: str, store: OnlineStore, dynamodb: DynamoServer) -> None:
    client(dynamodb).create_table(
        TableName=table_of(url), BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )  # fmt: skip
    with pytest.raises(OnlineStoreError, match=r"Is it a table of headrace\? Name another one"):
        store.get_many([b"a"])
    with pytest.raises(OnlineStoreError, match=r"Is it a table of headrace\? Name another one"):
        store.put_many(items([b"a"], 1))


def test_a_forked_child_has_connections_of_its_own(store: OnlineStore) -> None:
    store.put_many(items(KEYS[:40], 1))
    children = []
    for epoch in range(2, 4):
        child = os.fork()
        if not child:
            code = 1
            try:
                store.put_many(items(KEYS[:40], epoch))
                code = 0 if None not in store.get_many(KEYS[:40]) else 2
                store.close()
            finally:
                os._exit(code)
        children.append(child)
    reads = [store.get_many(KEYS[:40]) for _ in range(20)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 2
    assert all(is_whole(key, each or b"") for found in reads for key, each in zip(KEYS, found, strict=False))
    assert {stamp_of(each or b"").epoch for each in store.get_many(KEYS[:40])} == {3}
