"""An online store in a table of Amazon DynamoDB: no server to run, and as many readers as are paid for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

from headrace.errors import OnlineStoreError
from headrace.online.batches import batches, key_batches
from headrace.online.dynamodb_client import Client, Place
from headrace.online.dynamodb_failures import MISSING, code_of, dynamodb_failures
from headrace.online.dynamodb_items import Item, item_of, key_of, living, partitions
from headrace.online.dynamodb_table import ensure_table
from headrace.online.dynamodb_writing import Writer

_GET_KEYS: Final = 100
_WRITE_KEYS: Final = 25
_KEYS_AT_ONCE: Final = 1_000
_BATCH_BYTES: Final = 8 << 20


class DynamoStore:
    """The store in a table. Nothing is connected before the first use, and no table made before the first write.

    It can be used by several threads and after a fork. What has expired is not read any more, and DynamoDB itself
    deletes it, free of charge, mostly within days. What `put_many` returned for is on the disks of several data
    centres. Each key is read and written whole, and read as it was last written, but several keys are not read from
    one state: see `headrace.online.base.OnlineStore.reads_one_state`.

    Parameters
    ----------
    place : Place
        Which table.
    readonly : bool
        Refuse to write.
    """

    reads_one_state = False

    def __init__(self, place: Place, *, readonly: bool = False) -> None:
        self._table = place.table
        self._readonly = readonly
        self._client = Client(place)
        self._writer = Writer(self._client, place.table)
        self._is_ready = False
        self.location = place.location

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of some keys, each by itself; None where there is none, or it has expired."""
        with dynamodb_failures("read", self.location):
            pages = self._items("k, v, t", keys)
        found = dict(living(pages))
        return [found.get(key) for key in keys]

    def put_many(self, items: Iterable[tuple[bytes, bytes]], *, lasting: bool = False) -> int:
        """Write values, except over one with a greater stamp; returns how many were refused.

        What expires is deleted by DynamoDB, unless it is `lasting`.

        Raises
        ------
        OnlineStoreError
            If the table can't be written, or a value is larger than DynamoDB takes. Some of the items may be written
            then, each whole.
        """
        self._check_writable()
        refused = 0
        for batch, doubled in batches(items, _KEYS_AT_ONCE, _BATCH_BYTES):
            made = [item_of(key, value, lasting=lasting) for key, value in batch.items()]
            with dynamodb_failures("write to", self.location):
                refused += doubled + self._written(made)
        return refused

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All keys that begin with a prefix and their values, in no order.

        With a prefix as long as that of a definition's records, those alone are read; with a shorter one, the whole
        table. What is written or deleted meanwhile may be among them or not.
        """
        names: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True, "ProjectionExpression": "k, v, t"}
        where = {":k": {"B": prefix}}
        own = partitions(prefix)
        if own is not None:
            for one in own:
                condition = {"KeyConditionExpression": "p = :p AND begins_with(k, :k)"}
                yield from self._pages("query", {**names, **condition, **_values({**where, ":p": {"B": one}})})
        elif prefix:
            yield from self._pages("scan", {**names, "FilterExpression": "begins_with(k, :k)", **_values(where)})
        else:
            yield from self._pages("scan", names)

    def delete_many(self, keys: Iterable[bytes]) -> int:
        """Delete keys; returns how many were there."""
        self._check_writable()
        deleted = 0
        for batch in key_batches(keys, _KEYS_AT_ONCE):
            with dynamodb_failures("write to", self.location):
                there = [item["k"]["B"] for item in self._items("k", batch)]
                self._client.each(self._delete, key_batches(there, _WRITE_KEYS))
                deleted += len(there)
        return deleted

    def sweep(self, prefix: bytes, now: int) -> int:
        """Nothing: DynamoDB deletes what has expired by itself."""
        self._check_writable()
        return 0

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        self._client.close()

    def _items(self, names: str, keys: Sequence[bytes]) -> list[Item]:
        """The items of some keys, with some of their attributes."""
        parts = key_batches(dict.fromkeys(keys), _GET_KEYS)
        return [item for part in self._client.each(partial(self._some_items, names), parts) for item in part]

    def _some_items(self, names: str, keys: list[bytes]) -> list[Item]:
        wanted = {"Keys": [*map(key_of, keys)], "ConsistentRead": True, "ProjectionExpression": names}
        try:
            answers = list(self._client.whole("batch_get_item", wanted, "UnprocessedKeys"))
        except ClientError as error:
            if code_of(error) == MISSING:
                return []
            raise
        return [item for answer in answers for item in answer["Responses"].get(self._table, ())]

    def _written(self, items: list[dict[str, Any]]) -> int:
        """Put items, into a new table if there is none; returns how many were refused."""
        try:
            return self._put_all(items)
        except ClientError as error:
            if code_of(error) != MISSING:
                raise
            self._is_ready = False  # somebody has deleted it
            return self._put_all(items)

    def _put_all(self, items: list[dict[str, Any]]) -> int:
        if not self._is_ready:
            ensure_table(self._client, self._table)
            self._is_ready = True
        return self._writer.put(items)

    def _delete(self, keys: list[bytes]) -> None:
        requests = [{"DeleteRequest": {"Key": key_of(key)}} for key in keys]
        for _ in self._client.whole("batch_write_item", requests, "UnprocessedItems"):
            pass  # until all is done

    def _pages(self, operation: str, request: Mapping[str, Any]) -> Iterator[tuple[bytes, bytes]]:
        """What a query or a scan finds, page by page."""
        start: dict[str, Any] = {}
        while True:
            try:
                with dynamodb_failures("read", self.location):
                    page = self._client.call(operation, **request, **start)
            except OnlineStoreError as error:
                if isinstance(error.__cause__, ClientError) and code_of(error.__cause__) == MISSING:
                    return
                raise
            yield from living(page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _check_writable(self) -> None:
        if self._readonly:
            raise OnlineStoreError(f"The online store {self.location} was opened for reading. Open it for writing.")


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"ExpressionAttributeValues": values}
