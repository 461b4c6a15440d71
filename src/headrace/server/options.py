"""How the server behaves: what may wait, for how long, and what it does while the store is away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The server's limits.

    Parameters
    ----------
    most_rows : int
        How many entities one request may ask for.
    most_body_bytes : int
        How long a request's body may be.
    most_waiting : int
        How many requests one worker works at; others are answered 503 at once.
    store_seconds : float
        How long the online store may take to answer a request.
    stale_if_error_us : mapping of str to int
        The services that may use what they read lately while the store does not answer, and how old that may be, in
        microseconds. Such values have the status ``STALE``.
    """

    most_rows: int = 10_000
    most_body_bytes: int = 8 << 20
    most_waiting: int = 1_000
    store_seconds: float = 0.5
    stale_if_error_us: Mapping[str, int] = field(default_factory=dict)
