"""What came of working at once, and how it is printed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.contending.process import Worked
from benchmarks.killing.comparison import Difference
from benchmarks.killing.findings import KINDS, Finding

_SHOWN = 20


@dataclass
class Tally:
    """What happened.

    Parameters
    ----------
    worked : list of Worked
        By process.
    findings : list of Finding
        What was wrong at the end.
    differences : list of Difference
        Gold at the end, beside what one computation gives.
    publications : int
        How many there were.
    seconds : float
        How long everything took.
    """

    worked: list[Worked] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    publications: int = 0
    seconds: float = 0.0

    @property
    def done(self) -> Counter[str]:
        """How often what was done."""
        return sum((Counter(worked.done) for worked in self.worked), Counter())

    @property
    def refused(self) -> Counter[str]:
        """How often a process was told which clean error."""
        return sum((Counter(worked.refused) for worked in self.worked), Counter())

    @property
    def errors(self) -> list[str]:
        """What should never have been raised."""
        return [error for worked in self.worked for error in worked.errors]

    @property
    def found(self) -> list[Finding]:
        """What was wrong, meanwhile and at the end."""
        return [*(finding for worked in self.worked for finding in worked.findings), *self.findings]

    @property
    def lost(self) -> int:
        """Steps that are missing, or differ."""
        return sum(found.lost + found.changed for found in self.differences)

    @property
    def doubled(self) -> int:
        """Steps that are there too often, or should not be there."""
        return sum(found.doubled for found in self.differences)

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.errors or self.found or self.lost or self.doubled)


def print_tally(tally: Tally) -> None:
    """Print what was done, what was refused, what went wrong, then one closing line."""
    for title, counts in (("done", tally.done), ("refused, as it should be", tally.refused)):
        print(f"{title}:")
        for what, count in sorted(counts.items()):
            print(f"  {what:<40}{count:>8,}")
    problems = [f"{finding.kind}: {finding.text}" for finding in tally.found]
    for problem in [*tally.errors, *problems][:_SHOWN]:
        print(f"  {problem}")
    kinds = Counter(finding.kind for finding in tally.found)
    print(
        f"{tally.done.total():,} operations, {tally.publications:,} publications, {tally.refused.total():,} refused; "
        f"{len(tally.errors)} unexpected errors, {tally.lost} lost, {tally.doubled} doubled; "
        f"reads: {', '.join(f'{kinds[kind]} {kind}' for kind in KINDS)}; {tally.seconds:.0f} s"
    )
