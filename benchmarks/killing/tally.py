"""What came of killing commands, and how it is printed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.killing.comparison import Difference
from benchmarks.killing.reader import Reading
from benchmarks.killing.victim import PHASES, Death


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
    failure : str
        What a command said that failed by itself after a kill.
    seconds : float
        How long everything took.
    """

    deaths: list[Death] = field(default_factory=list)
    reading: Reading = field(default_factory=Reading)
    differences: list[Difference] = field(default_factory=list)
    rounds: int = 0
    runs: int = 0
    failure: str = ""
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
        return not (self.lost or self.doubled or self.changed or self.reading.problems or self.failure)


def print_tally(tally: Tally) -> None:
    """Print kills by command and phase, then what each table lost or has too often, then one closing line."""
    print(f"{'kills of':<10}" + "".join(f"{phase:>22}" for phase in (*PHASES, "total", "at a named point")))
    for command in ("ingest", "backfill"):
        deaths = [death for death in tally.deaths if death.command == command]
        by_phase = Counter(death.phase for death in deaths)
        counts = [*(by_phase[phase] for phase in PHASES), len(deaths), sum(bool(death.point) for death in deaths)]
        print(f"{command:<10}" + "".join(f"{count:>22,}" for count in counts))
    print(f"\n{'table':<24}{'rows':>10}{'lost':>10}{'doubled':>10}{'changed':>10}")
    for found in tally.differences:
        print(f"{found.table:<24}{found.rows:>10,}{found.lost:>10,}{found.doubled:>10,}{found.changed:>10,}")
    reading = tally.reading
    print(f"\n{reading.live:,} reads meanwhile; {reading.versions:,} versions of tables checked")
    for problem in reading.problems[:20]:
        print(f"  {problem}")
    if tally.failure:
        print(f"a command failed after a kill: {tally.failure}")
    print(
        f"{len(tally.deaths)} kills in {tally.rounds} rounds and {tally.runs} runs: {tally.lost} lost, "
        f"{tally.doubled} doubled, {tally.changed} changed, {len(reading.problems)} half-written reads; "
        f"{tally.seconds:.0f} s"
    )
