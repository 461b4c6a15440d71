"""One call: what is sent and when, whoever sends it.

A call is a generator. It yields what is to be done next (`Send` or `Wait`), and is sent what came of it, so that the
client that blocks and the one that does not do the same.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias, TypeVar

from headrace_client.errors import DeadlineExceeded, HeadraceClientError, Unavailable
from headrace_client.failures import error_of, retry_after_seconds

AGAIN: Final = (429, 502, 503, 504)
"""The statuses that pass: the request was not answered, and may be later."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a call has to be over.

    Parameters
    ----------
    seconds : float
        What it may take in all: connecting, sending, waiting, answers and further tries.
    ticks : callable
        Seconds that only grow.
    """

    seconds: float
    ticks: Callable[[], float] = time.monotonic
    ends: float = field(init=False)

    def __post_init__(self) -> None:
        """It begins now."""
        object.__setattr__(self, "ends", self.ticks() + self.seconds)

    @property
    def left_seconds(self) -> float:
        """What is left of it, 0 at least."""
        return max(0.0, self.ends - self.ticks())


@dataclass(frozen=True, slots=True)
class Send:
    """A request is to be sent, and its answer to be read, by the deadline."""

    method: str
    path: str
    body: bytes | None
    deadline: Deadline


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is to be done for so long."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer came, whatever it says."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came, or none that is whole."""

    reason: str
    is_late: bool = False


Action: TypeAlias = Send | Wait
Outcome: TypeAlias = Reply | Lost | None
Plan: TypeAlias = Generator[Action, Outcome, _T]


@dataclass(frozen=True, slots=True)
class Retrying:
    """When a request is sent again.

    The wait before try n is drawn between nothing and twice that of try n - 1 ("full jitter"), so that clients that
    lost the same server do not come back together.

    Parameters
    ----------
    retries : int
        How often at most; the deadline ends it as well.
    first_seconds, most_seconds : float
        The longest first wait, and the longest of all.
    drawn : callable
        A number between 0 and 1.
    """

    retries: int = 2
    first_seconds: float = 0.05
    most_seconds: float = 2.0
    drawn: Callable[[], float] = random.random

    def wait_seconds(self, tries: int, asked_seconds: float | None) -> float:
        """How long to wait after so many tries; never less than the server asked for."""
        longest = min(self.most_seconds, self.first_seconds * 2.0 ** min(tries - 1, 30))
        return (asked_seconds or 0.0) + longest * self.drawn()


def call(method: str, path: str, body: bytes | None, deadline: Deadline, retrying: Retrying) -> Plan[Reply]:
    """Send a request that may be sent twice, until it is answered.

    Raises
    ------
    HeadraceClientError
        If it was refused, or there was no answer in time.
    """
    tries = 0
    while True:
        outcome = yield Send(method, path, body, deadline)
        tries += 1
        assert outcome is not None
        if isinstance(outcome, Reply) and outcome.status not in AGAIN:
            if outcome.status >= 300:
                raise error_of(outcome.status, outcome.headers, outcome.body)
            return outcome
        error = _error(outcome, deadline, tries)
        asked = retry_after_seconds(outcome.headers) if isinstance(outcome, Reply) else None
        wait = retrying.wait_seconds(tries, asked)
        if tries > retrying.retries or wait >= deadline.left_seconds:
            raise error
        yield Wait(wait)


def _error(outcome: Reply | Lost, deadline: Deadline, tries: int) -> HeadraceClientError:
    if isinstance(outcome, Reply):
        return error_of(outcome.status, outcome.headers, outcome.body)
    if outcome.is_late:
        return DeadlineExceeded(
            f"there was no answer within {deadline.seconds:g} s ({_times(tries)}): {outcome.reason}."
        )
    return Unavailable(f"the server can't be reached ({_times(tries)}): {outcome.reason}.")


def _times(tries: int) -> str:
    return "tried once" if tries == 1 else f"tried {tries} times"
