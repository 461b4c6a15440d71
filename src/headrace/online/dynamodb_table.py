"""The table of an online store in DynamoDB: made at the first write, with what has expired deleted by itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from headrace.errors import OnlineStoreError
from headrace.online.dynamodb_failures import MISSING, code_of

if TYPE_CHECKING:
    from headrace.online.dynamodb_client import Client

_READY_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.2
_EXISTS: Final = "ResourceInUseException"
_EXPIRING: Final = ("ENABLED", "ENABLING")


def ensure_table(client: Client, table: str) -> None:
    """Make the table unless it is there, paid by request; and let DynamoDB delete what has expired, unless it does.

    Several processes may do it at once.

    Raises
    ------
    OnlineStoreError
        If it is not ready in time.
    BotoCoreError, ClientError
        If it can't be made.
    """
    try:
        if _expires(client, table):
            return
    except ClientError as error:
        if code_of(error) != MISSING:
            raise
        _make(client, table)
        _wait(client, table)
    _let_expire(client, table)


def _expires(client: Client, table: str) -> bool:
    told = client.call("describe_time_to_live", TableName=table)["TimeToLiveDescription"]
    return told.get("TimeToLiveStatus") in _EXPIRING


def _make(client: Client, table: str) -> None:
    try:
        client.call(
            "create_table",
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "B"} for name in ("p", "k")],
            KeySchema=[{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "k", "KeyType": "RANGE"}],
        )
    except ClientError as error:
        if code_of(error) != _EXISTS:  # another process has made it
            raise


def _wait(client: Client, table: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while client.call("describe_table", TableName=table)["Table"]["TableStatus"] != "ACTIVE":
        if time.monotonic() > deadline:
            raise OnlineStoreError(
                f"The online store's table '{table}' was made, and is not ready after {_READY_SECONDS:g} s. Run the "
                "same command again."
            )
        time.sleep(_LOOK_SECONDS)


def _let_expire(client: Client, table: str) -> None:
    wanted = {"Enabled": True, "AttributeName": "t"}
    try:
        client.call("update_time_to_live", TableName=table, TimeToLiveSpecification=wanted)
    except ClientError:
        if not _expires(client, table):  # else another process was faster
            raise
