"""Through when a stream is known: the least of what its partitions have reached.

A watermark frees state, closes windows for those who want each step once, and feeds metrics. It never decides a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from headrace.types import BEGINNING


@dataclass(frozen=True, slots=True)
class Watermarks:
    """How far each partition has come. Times are microseconds UTC.

    Parameters
    ----------
    reached : mapping of str to int
        The newest time from which a row of each partition counts.
    active_at : mapping of str to int
        When each partition was last heard of, on the reader's clock.
    cut : int
        Through when the stream is known; never runs back.

    Examples
    --------
    >>> marks = Watermarks().heard({"gps/0": 50, "gps/1": 30}, now=100).advanced(0, {"gps/0", "gps/1"}, idle_us=60)
    >>> marks.cut
    30
    >>> marks.heard({"gps/0": 90}, now=170).advanced(0, {"gps/1"}, idle_us=60).cut  # gps/1 has been idle for 70
    90
    """

    reached: Mapping[str, int] = field(default_factory=dict)
    active_at: Mapping[str, int] = field(default_factory=dict)
    cut: int = BEGINNING

    def ahead(self, now: int) -> int:
        """Through when those know who only ask for values from now on: as far as the partition that has come furthest.

        What the others have that is older counts from there on, so it is in time for every later question. `now` is the
        reader's clock: a time that is still to come is not taken for past.
        """
        return max(self.cut, min(max(self.reached.values(), default=self.cut), now))

    def heard(self, newest: Mapping[str, int], now: int) -> Watermarks:
        """After an epoch with rows of some partitions; `newest` is the greatest time of each."""
        reached = {**self.reached, **{p: max(t, self.reached.get(p, t)) for p, t in newest.items()}}
        return replace(self, reached=reached, active_at={**self.active_at, **dict.fromkeys(newest, now)})

    def idle(self, at_head: set[str], now: int, idle_us: int) -> set[str]:
        """The partitions that are read to their ends, and from which nothing came for so long."""
        return {p for p in at_head if now - self.active_at.get(p, now) >= idle_us}

    def advanced(
        self, now: int, at_head: set[str], idle_us: int, allowed_us: int = 0, *, closing: bool = False,
        partitions: Iterable[str] = (),
    ) -> Watermarks:  # fmt: skip
        """With the cut moved on as far as what is awaited allows.

        Parameters
        ----------
        now : int
            On the reader's clock; 0 for that of the last row.
        at_head : set of str
            The partitions that are read to their ends.
        idle_us : int
            After how long such a one is not waited for.
        allowed_us : int
            How far rows of one partition may run back in time: none where the log stamps them.
        closing : bool
            Where all partitions are idle, go on with the reader's clock, `idle_us` behind it.
        partitions : iterable of str
            All that there are: one that was never heard of holds the cut until it is read to its end, as what it holds
            may be of any time.
        """
        if not self.reached or set(partitions) - set(self.reached) - at_head:
            return self
        idle = self.idle(at_head, now or max(self.active_at.values()), idle_us)
        awaited = [time for p, time in self.reached.items() if p not in idle]
        newest = min(awaited) if awaited else max(self.reached.values())
        if closing and not awaited:
            newest = max(newest, now - idle_us)
        return replace(self, cut=max(self.cut, newest - allowed_us))
