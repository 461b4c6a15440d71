"""Windows: which rows an aggregate looks at, as seen from a time T.

`timeline.windows` tells when a row enters and leaves each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from headrace.errors import DefinitionError
from headrace.types import duration, duration_text


@dataclass(frozen=True, slots=True)
class Lifetime:
    """All rows known before T."""

    def __str__(self) -> str:
        """As it is written."""
        return "lifetime()"


@dataclass(frozen=True, slots=True)
class Sliding:
    """Rows known before T that happened since ``floor(T - size, hop)``.

    The head is exact to the microsecond, the tail moves in hops. All lengths are microseconds.
    """

    size: int
    hop: int
    offset: int = 0

    def __str__(self) -> str:
        """As it is written."""
        return f"sliding({_lengths(self)})"


@dataclass(frozen=True, slots=True)
class Hopping:
    """Rows of the last window ``[E - size, E)`` due to be complete, E a multiple of `hop`."""

    size: int
    hop: int
    offset: int = 0

    def __str__(self) -> str:
        """As it is written."""
        return f"hopping({_lengths(self)})"


Window = Lifetime | Sliding | Hopping


def _lengths(window: Sliding | Hopping) -> str:
    offset = f", offset={duration_text(window.offset)}" if window.offset else ""
    return f"{duration_text(window.size)}, hop={duration_text(window.hop)}{offset}"


def lifetime() -> Lifetime:
    """All of an entity's rows, ever."""
    return Lifetime()


def sliding(size: str | timedelta, hop: str | timedelta, offset: str | timedelta = "0s") -> Sliding:
    """The last `size` before T, its tail moving in steps of `hop`.

    Parameters
    ----------
    size : str or timedelta
        The window's length.
    hop : str or timedelta
        How exactly rows leave: the true window is between `size` and ``size + hop`` long.
    offset : str or timedelta
        Where hops are counted from, after 1970-01-01 UTC (a Thursday; "4d" starts weeks on Monday).

    Raises
    ------
    DefinitionError
        Unless 0 < hop <= size.
    """
    return Sliding(*_checked("sliding", size, hop, offset))


def hopping(size: str | timedelta, hop: str | timedelta, offset: str | timedelta = "0s") -> Hopping:
    """The last whole window of `size`, a new one each `hop`.

    A window counts from its end plus the source's ``max_lateness``. See `sliding` for the parameters.

    Raises
    ------
    DefinitionError
        Unless 0 < hop <= size and size is a multiple of hop.
    """
    lengths = _checked("hopping", size, hop, offset)
    if lengths[0] % lengths[1]:
        raise DefinitionError(
            f"hopping({size!r}, hop={hop!r}): the size is no multiple of the hop, so windows would not line up. "
            f"Take a hop that divides {duration_text(lengths[0])}, or a sliding window."
        )
    return Hopping(*lengths)


def tumbling(size: str | timedelta, offset: str | timedelta = "0s") -> Hopping:
    """The last whole window of `size`; windows touch and don't overlap."""
    return hopping(size, size, offset)


def _checked(kind: str, size: str | timedelta, hop: str | timedelta, offset: str | timedelta) -> tuple[int, int, int]:
    size_us, hop_us, offset_us = duration(size), duration(hop), duration(offset)
    if not 0 < hop_us <= size_us:
        raise DefinitionError(f"{kind}({size!r}, hop={hop!r}): 0 < hop <= size must hold.")
    return size_us, hop_us, offset_us % hop_us
