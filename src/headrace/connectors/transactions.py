"""What is written to topics in one transaction, and how that fails so that it can be made again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from headrace.errors import StreamError


class AbortedError(StreamError):
    """A transaction was given up, or its end is not known: whoever makes it again is told whether it is there."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Messages for one topic.

    Parameters
    ----------
    topic : str
        Its name.
    messages : iterable of (str, str)
        The key and the value of each.
    headers : tuple of (str, bytes)
        What they all have.
    """

    topic: str
    messages: Iterable[tuple[str, str]]
    headers: tuple[tuple[str, bytes], ...] = ()
