"""Putting items into a table of DynamoDB, none of which replaces one with a greater stamp.

Its operation for many writes (BatchWriteItem) knows no conditions, and its transactions cost twice as much and stop at
the first item that is refused. But up to 25 statements of PartiQL can be sent at once, each with a condition and an
answer of its own. One statement can't say "insert, or update if older", so an item may take two: UPDATE where it was
older, INSERT where there was none. What is tried first is what most items turned out to need before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

from botocore.exceptions import ClientError

from headrace.online.dynamodb_client import Client, Patience
from headrace.online.dynamodb_failures import MISSING, REFUSED, code_of
from headrace.online.dynamodb_items import Item

_FEW: Final = 4
"""So many items are put by themselves."""
_STATEMENTS: Final = 25
_BYTES: Final = 4 << 20
_MOST_IDLE: Final = 12  # nobody waits for a write as for an answer: seven seconds
_THERE_ALREADY: Final = "DuplicateItem"
_CONDITION: Final = "ConditionalCheckFailed"
_AGAIN: Final = frozenset({
    "ProvisionedThroughputExceeded", "RequestLimitExceeded", "ThrottlingError", "TransactionConflict",
    "InternalServerError",
})  # fmt: skip
_WHOLE_CODES: Final = {
    "ResourceNotFound": MISSING,
    "AccessDenied": "AccessDeniedException",
    "ValidationError": "ValidationException",
}

How = Literal["insert", "update"]


class _Try(NamedTuple):
    """An item, and by which statement it is written next."""

    item: Item
    how: How


class Writer:
    """Writes items. Several threads can use it.

    Parameters
    ----------
    client : Client
        Of the table.
    table : str
        Its name.
    """

    def __init__(self, client: Client, table: str) -> None:
        self._client, self._table = client, table
        self._first: How = "update"

    def put(self, items: Sequence[Item]) -> int:
        """Write items; returns how many were refused. What is sent twice writes the same again.

        Raises
        ------
        OnlineStoreError
            If the table takes no more writes.
        BotoCoreError, ClientError
            If it can't be written, or is not there.
        """
        if len(items) <= _FEW:
            return sum(self._client.each(self._put, items))
        return sum(self._client.each(self._put_part, _parts(items)))

    def _put(self, item: Item) -> bool:
        """Put an item; whether it was refused."""
        try:
            self._client.call(
                "put_item",
                TableName=self._table,
                Item=item,
                ConditionExpression="attribute_not_exists(s) OR s <= :s",
                ExpressionAttributeValues={":s": item["s"]},
            )
        except ClientError as error:
            if code_of(error) != REFUSED:
                raise
            return True
        return False

    def _put_part(self, items: list[Item]) -> int:
        """Put as many items as fit into one request; returns how many were refused."""
        begun = self._first
        waiting = [_Try(item, begun) for item in items]
        patience = Patience(self._client.location, _MOST_IDLE)
        refused = changed = 0
        while waiting:
            again: list[_Try] = []
            busy = 0
            for tried, answer in zip(waiting, self._answers(waiting), strict=True):
                error = answer.get("Error")
                if error is None:
                    changed += tried.how != begun
                elif error["Code"] == _CONDITION and error.get("Item"):
                    refused += 1  # a newer one is there
                else:
                    again.append(_next(tried, error))
                    busy += again[-1] is tried
            patience.wait(len(waiting), busy)
            waiting = again
        if changed * 2 > len(items):
            self._first = "insert" if begun == "update" else "update"
        return refused

    def _answers(self, tries: list[_Try]) -> list[dict[str, Any]]:
        statements = [self._statement(each.item, each.how) for each in tries]
        found: list[dict[str, Any]] = self._client.call("batch_execute_statement", Statements=statements)["Responses"]
        return found

    def _statement(self, item: Item, how: How) -> dict[str, Any]:
        if how == "insert":
            names = ", ".join(f"'{name}': ?" for name in item)
            return {"Statement": f'INSERT INTO "{self._table}" VALUE {{{names}}}', "Parameters": list(item.values())}
        expiry = "SET t=?" if "t" in item else "REMOVE t"
        return {
            "Statement": f'UPDATE "{self._table}" SET v=? SET s=? {expiry} WHERE p=? AND k=? AND s<=?',  # noqa: S608 - no quotes in it
            "Parameters": [item[name] for name in ("v", "s", "t", "p", "k", "s") if name in item],
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }


def _parts(items: Sequence[Item]) -> Iterator[list[Item]]:
    part: list[Item] = []
    size_bytes = 0
    for item in items:
        own_bytes = len(item["v"]["B"])
        if part and (len(part) == _STATEMENTS or size_bytes + own_bytes > _BYTES):
            yield part
            part, size_bytes = [], 0
        part.append(item)
        size_bytes += own_bytes
    if part:
        yield part


def _next(tried: _Try, error: dict[str, Any]) -> _Try:
    """How an item is written that was not: there is one already, there is none yet, or the table is busy."""
    code = error["Code"]
    if code == _THERE_ALREADY:
        return tried._replace(how="update")
    if code == _CONDITION:
        return tried._replace(how="insert")
    if code in _AGAIN:
        return tried
    told = {"Code": _WHOLE_CODES.get(code, code), "Message": error.get("Message", "")}
    raise ClientError({"Error": told}, "BatchExecuteStatement")  # as if it had been the only one
