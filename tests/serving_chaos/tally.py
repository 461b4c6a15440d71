"""What was done, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.serving_chaos.asking import Asked
from tests.serving_chaos.city import VIEWS

GRACE_SECONDS: Final = 2.0
MOST_ERROR_SECONDS: Final = 3.0
"""An error comes within this, however dead the store is."""
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Outage:
    """When something was away."""

    what: str
    began: float
    ended: float

    def explains(self, asked: Asked) -> bool:
        """Whether a request came to grief because of it."""
        return asked.sent <= self.ended + GRACE_SECONDS and asked.done >= self.began


@dataclass(slots=True)
class Tally:
    """What was done, and what came of it.

    Parameters
    ----------
    done : counter
        What was disturbed, published and rolled back how often.
    requests, right : int
        How many were sent, and how many answers had the right values.
    errors : counter
        By kind.
    wrong, mixed, outdated : int
        Answers with a value that no version has, with two versions of a view, or of a version not served then.
    violations, late : int
        Errors that no outage explains; errors that came late.
    publisher_errors : int
        What the publisher was told, other than that the store is away.
    outage_seconds, slowest_error_seconds, slowest_seconds : float
        How long something was away; the slowest error, and the slowest answer.
    slowest_recovery_seconds : float
        How long after an outage a request that fails was sent, at most.
    p50_ms, p99_ms : float
        How long answers took, outages included.
    versions : int
        How many versions were seen in answers.
    shown : list of str
        The first findings.
    """

    done: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    right: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    mixed: int = 0
    outdated: int = 0
    violations: int = 0
    late: int = 0
    publisher_errors: int = 0
    outage_seconds: float = 0.0
    slowest_error_seconds: float = 0.0
    slowest_recovery_seconds: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    slowest_seconds: float = 0.0
    versions: int = 0
    shown: list[str] = field(default_factory=list)

    def is_clean(self) -> bool:
        """Whether nothing was wrong, mixed, outdated or away for longer than it had to be."""
        return not (
            self.wrong or self.mixed or self.outdated or self.violations or self.late or self.publisher_errors
        )  # fmt: skip

    def find(self, finding: str) -> None:
        """Keep one of the first."""
        if len(self.shown) < _SHOWN:
            self.shown.append(finding)


class Served:
    """Which waves of a view may have been served when."""

    def __init__(self, view: str, said: Iterable[dict[str, Any]]) -> None:
        self._changes: list[tuple[float, frozenset[int]]] = []
        waves: frozenset[int] = frozenset()
        for each in said:
            if each.get("view") == view and each["kind"] in ("begin", "end"):
                waves = waves | {each["wave"]} if each["kind"] == "begin" else frozenset({each["wave"]})
                self._changes.append((each["at"], waves))

    def between(self, sent: float, done: float) -> frozenset[int]:
        """Any that was, in some time."""
        found: frozenset[int] = frozenset()
        ends = [*(began for began, _ in self._changes[1:]), float("inf")]
        for (began, waves), ended in zip(self._changes, ends, strict=True):
            if began <= done and ended >= sent:
                found |= waves
        return found


def judge(tally: Tally, asked: Sequence[Asked], outages: Sequence[Outage], said: Sequence[dict[str, Any]]) -> None:
    """Count what came of each request."""
    served = {view: Served(view, said) for view in VIEWS}
    began = asked[0].sent
    seen = set()
    for each in asked:
        tally.requests += 1
        if each.wrong:
            tally.wrong += not each.wrong.startswith("mixed")
            tally.mixed += each.wrong.startswith("mixed")
            tally.find(f"{each.sent - began:.2f} s: {each.wrong}")
        elif each.error:
            _judge_error(tally, each, outages, began)
        else:
            seen |= set(each.waves.items())
            _judge_waves(tally, each, served, began)
    tally.versions = len(seen)
    tally.outage_seconds = sum(outage.ended - outage.began for outage in outages)
    took = sorted(each.done - each.sent for each in asked if not each.error) or [0.0]
    tally.p50_ms, tally.p99_ms = took[len(took) // 2] * 1e3, took[int(len(took) * 0.99)] * 1e3
    tally.slowest_seconds = took[-1]


def _judge_error(tally: Tally, each: Asked, outages: Sequence[Outage], began: float) -> None:
    tally.errors[each.error] += 1
    took = each.done - each.sent
    explaining = [outage for outage in outages if outage.explains(each)]
    after = min((each.sent - outage.ended for outage in explaining), default=0.0)
    tally.slowest_recovery_seconds = max(tally.slowest_recovery_seconds, after)
    tally.slowest_error_seconds = max(tally.slowest_error_seconds, took)
    if each.status not in (0, 503) or not explaining:
        tally.violations += 1
        tally.find(f"{each.sent - began:.2f} s: {each.error} after {took:.3f} s, and no outage then")
    if took > MOST_ERROR_SECONDS:
        tally.late += 1
        tally.find(f"{each.sent - began:.2f} s: {each.error} only after {took:.3f} s")


def _judge_waves(tally: Tally, each: Asked, served: dict[str, Served], began: float) -> None:
    for view, wave in each.waves.items():
        allowed = served[view].between(each.sent, each.done)
        if wave not in allowed:
            tally.outdated += 1
            tally.find(f"{each.sent - began:.2f} s: {view} of wave {wave}, where {sorted(allowed)} were served")
            return
    tally.right += 1
