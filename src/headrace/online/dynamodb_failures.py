"""What DynamoDB and the way to it say, in words: which table, what was being done, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from botocore import exceptions

from headrace.errors import OnlineStoreError

MISSING: Final = "ResourceNotFoundException"
REFUSED: Final = "ConditionalCheckFailedException"
THROTTLES: Final = (
    "it takes no more reads or writes for now. Try again later, or raise the table's capacity and the account's limits"
)
_CREDENTIALS: Final = (
    "Give them to AWS's own chain: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of the machine; "
    "never the setting `online`"
)
_RIGHTS: Final = (
    "dynamodb:BatchGetItem, Query and Scan to read; PutItem, PartiQLInsert, PartiQLUpdate, BatchWriteItem and "
    "DescribeTimeToLive to write; CreateTable, DescribeTable and UpdateTimeToLive to make the table"
)
_UNREACHABLE: Final = "it can't be reached ({error}). Check the network, and the region or endpoint"
_NOT_ACCEPTED: Final = f"its credentials are not accepted ({{code}}). {_CREDENTIALS}"
_CODES: Final = {
    "AccessDeniedException": f"this identity may not do that: {{error}}. Grant it {_RIGHTS}",
    "UnrecognizedClientException": _NOT_ACCEPTED,
    "InvalidSignatureException": _NOT_ACCEPTED,
    "IncompleteSignatureException": _NOT_ACCEPTED,
    "MissingAuthenticationTokenException": _NOT_ACCEPTED,
    "ExpiredTokenException": _NOT_ACCEPTED,
    "ProvisionedThroughputExceededException": THROTTLES,
    "ThrottlingException": THROTTLES,
    "RequestLimitExceeded": THROTTLES,
    "ValidationException": (
        "it refuses the request: {error}. Is it a table of headrace? Name another one, which may not be there yet"
    ),
    MISSING: "there is no such table ({error})",
}
_HINTS: Final[tuple[tuple[type[Exception], str], ...]] = (  # the first that fits
    (exceptions.NoCredentialsError, f"there are no credentials. {_CREDENTIALS}"),
    (exceptions.CredentialRetrievalError, f"there are no credentials ({{error}}). {_CREDENTIALS}"),
    (exceptions.PartialCredentialsError, f"its credentials are not complete ({{error}}). {_CREDENTIALS}"),
    (exceptions.NoRegionError, "it is not said in which region. Write dynamodb://TABLE?region=eu-west-1"),
    (exceptions.ReadTimeoutError, "it does not answer in time. Check the network, or raise ?timeout=10 (seconds)"),
    (exceptions.HTTPClientError, _UNREACHABLE),
    (exceptions.ConnectionError, _UNREACHABLE),
)


@contextmanager
def dynamodb_failures(doing: str, location: str) -> Iterator[None]:
    """Turn the errors of AWS' client into an `OnlineStoreError`.

    Raises
    ------
    OnlineStoreError
        With what was being done, where, and what to do.
    """
    try:
        yield
    except (exceptions.BotoCoreError, exceptions.ClientError) as error:
        raise OnlineStoreError(f"Can't {doing} the online store {location}: {_explained(error)}.") from error


def code_of(error: exceptions.ClientError) -> str:
    """What kind of error the service tells of."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _explained(error: Exception) -> str:
    text = str(error).rstrip(".")
    if isinstance(error, exceptions.ClientError):
        code = code_of(error)
        text = str(error.response.get("Error", {}).get("Message", text)).rstrip(".")
        return _CODES.get(code, "it says: {code}: {error}").format(error=text, code=code)
    return next((hint.format(error=text) for kind, hint in _HINTS if isinstance(error, kind)), f"it says: {text}")
