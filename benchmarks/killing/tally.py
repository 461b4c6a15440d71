"""What came of killing commands, and how it is printed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.killing.comparison import Difference
from benchmarks.killing.findings import KINDS
from benchmarks.killing.phases import PHASES
from benchmarks.killing.reader import Reading
from benchmarks.killing.victim import Death

_SHOWN = 20


@dataclass
class Tally:
    """What happened.

    Parameters
    ----------
    deaths : list of Death
        Every kill.
    reading : Reading
        What the reader saw meanwhile.
    differences : list of Difference
        Of the tables at the end.
    rounds, runs : int
        How often new files came, and how many commands ran, killed or not.
    failures : list of str
        What commands said that failed by themselves after a kill, or did not do what they should.
    unsettled : list of str
        What was wrong when a command had come to its end.
    seconds : float
        How long everything took.
    """

    deaths: list[Death] = field(default_factory=list)
    reading: Reading = field(default_factory=Reading)
    differences: list[Difference] = field(default_factory=list)
    rounds: int = 0
    runs: int = 0
    failures: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def lost(self) -> int:
        """Rows and steps that are missing."""
        return sum(found.lost for found in self.differences)

    @property
    def doubled(self) -> int:
        """Rows and steps that are there too often, or should not be there."""
        return sum(found.doubled for found in self.differences)

    @property
    def changed(self) -> int:
        """Rows and steps with other values."""
        return sum(found.changed for found in self.differences)

    @property
    def is_clean(self) -> bool:
        """Whether nothing went wrong."""
        wrong = self.lost or self.doubled or self.changed or self.reading.findings or self.failures or self.unsettled
        return not wrong


def print_tally(tally: Tally) -> None:
    """Print kills by command and phase, then what each table lost or has too often, then one closing line."""
    _print_deaths(tally.deaths)
    print(f"\n{'table':<24}{'rows':>10}{'lost':>10}{'doubled':>10}{'changed':>10}")
    for found in tally.differences:
        print(f"{found.table:<24}{found.rows:>10,}{found.lost:>10,}{found.doubled:>10,}{found.changed:>10,}")
    reading = tally.reading
    print(
        f"\n{reading.live:,} reads meanwhile; {reading.versions:,} versions of tables and {reading.publications:,} "
        f"publications checked; {reading.answers:,} requests answered"
    )
    for problem in [*tally.failures, *tally.unsettled, *reading.problems][:_SHOWN]:
        print(f"  {problem}")
    kinds = Counter(finding.kind for finding in reading.findings)
    print(
        f"{len(tally.deaths)} kills in {tally.rounds} rounds and {tally.runs} runs: {tally.lost} lost, "
        f"{tally.doubled} doubled, {tally.changed} changed, {len(tally.failures)} unfinished, "
        f"{len(tally.unsettled)} unsettled; reads: {', '.join(f'{kinds[kind]} {kind}' for kind in KINDS)}; "
        f"{tally.seconds:.0f} s"
    )


def _print_deaths(deaths: list[Death]) -> None:
    print(f"{'kills of':<12}" + "".join(f"{phase:>21}" for phase in (*PHASES, "total", "at a named point")))
    for command in dict.fromkeys(death.command for death in deaths):
        own = [death for death in deaths if death.command == command]
        by_phase = Counter(death.phase for death in own)
        counts = [*(by_phase[phase] for phase in PHASES), len(own), sum(bool(death.point) for death in own)]
        print(f"{command:<12}" + "".join(f"{count:>21,}" for count in counts))
    points = Counter(death.point.partition(":")[0] for death in deaths if death.point)
    print("at points: " + ", ".join(f"{point} {count}" for point, count in sorted(points.items())))
