"""The key or the token that a request comes with."""

from __future__ import annotations

from typing import Final

from headrace.server.security.refusals import UnauthorizedError

_NO_CREDENTIAL: Final = (
    "who asks? Send an API key, 'Authorization: Bearer hr_…' or 'X-API-Key: hr_…', or a token of the identity provider."
)


def presented(authorization: str | None, api_key: str | None) -> str:
    """The key or token of a request's headers.

    Parameters
    ----------
    authorization, api_key : str, optional
        The headers ``Authorization`` and ``X-API-Key``.

    Raises
    ------
    UnauthorizedError
        If there is none, it is of another scheme, or there are two.

    Examples
    --------
    >>> presented("Bearer abc", None)
    'abc'
    """
    given = None
    if authorization is not None:
        scheme, _, given = authorization.strip().partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthorizedError(f"the header Authorization is not of the scheme Bearer: {_NO_CREDENTIAL}")
        given = given.strip()
    key = None if api_key is None else api_key.strip()
    if given is not None and key is not None and given != key:
        raise UnauthorizedError("Authorization and X-API-Key are two different ones: send one of them.")
    found = given or key
    if not found:
        raise UnauthorizedError(_NO_CREDENTIAL)
    return found
