"""A million values read offline and online and recomputed from silver: on public data and on a simulated city.

``python -m benchmarks.verifying [--comparisons N] [--whole]``

Each project is published in the rounds in which its files arrive, then every view is verified. A line a project says
how many values were compared, and how many of them differ for which cause. Then the faults that a verification has to
name are made in a small project. The data sets are looked for in ``../shared/data``, or where ``HEADRACE_SHARED_DATA``
says; ``--whole`` takes all of their rows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import data_platform
from data_platform.simulator import City
from headrace.platform import Platform
from headrace.platform.verify import Difference, VerifyReport
from headrace.quality.masking import KEY_VARIABLE
from headrace.types import DAY, instant
from tests.e2e.real_data.datasets import AUSTIN, TAXI, DataSet
from tests.e2e.real_data.running import run
from tests.integration.verify_faults import FAULTS
from tests.integration.verifying import Clock, filled

ROOT = Path(__file__).parents[1]
CITY = "simulated_city"
BEGAN = instant("2026-01-05")
"""The first simulated day."""
ALLOWED = ("ttl",)
"""Where nothing went wrong only this may differ: records of windows that have long been empty are forgotten."""


@dataclass(slots=True)
class Tally:
    """What was compared in one project.

    Attributes
    ----------
    name : str
        The project.
    comparisons, online, equal : int
        Values compared, those of them that were read online too, and those that are everywhere the same.
    by_cause : Counter
        The others.
    seconds : float
        How long the verification took.
    examples : list of Difference
        Some that should not be.
    """

    name: str
    comparisons: int = 0
    online: int = 0
    equal: int = 0
    by_cause: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    examples: list[Difference] = field(default_factory=list)

    def add(self, report: VerifyReport) -> None:
        """Count a view."""
        self.comparisons += report.comparisons
        self.online += report.online_comparisons
        self.equal += report.equal
        self.by_cause.update(report.by_cause)
        self.seconds += report.seconds
        self.examples += [found for found in report.differences if found.cause not in ALLOWED][:5]

    @property
    def is_right(self) -> bool:
        """Whether nothing differs that should not."""
        return self.comparisons > 0 and not set(self.by_cause) - set(ALLOWED)

    def __str__(self) -> str:
        """One line."""
        causes = ", ".join(f"{count:,} {cause}" for cause, count in self.by_cause.items()) or "none differ"
        return (
            f"{self.name}: {self.comparisons:,} compared, {self.online:,} of them online too, {self.equal:,} equal, "
            f"{causes}, {self.seconds:.1f} s"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Verify every project, then the faults; print a line each, and fail if one is not as it should be."""
    options = _options(arguments)
    os.environ.setdefault(KEY_VARIABLE, "a key for this measurement alone")
    folder = Path(os.environ.get("HEADRACE_SHARED_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not folder.is_dir():
        print(f"The public data sets are not at {folder}; HEADRACE_SHARED_DATA names another place.", file=sys.stderr)
        return 2
    tallies = [_said(real_data(each, folder, options.comparisons, whole=options.whole)) for each in (AUSTIN, TAXI)]
    tallies.append(_said(simulated(options.comparisons, days=options.days)))
    print(f"together: {sum(tally.comparisons for tally in tallies):,} compared")
    wrong = [tally for tally in tallies if not tally.is_right]
    named = faults_are_named()
    for line in named:
        print(line)
    return int(bool(wrong) or any("NOT NAMED" in line for line in named))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.verifying")
    parser.add_argument("--comparisons", type=int, default=400_000, help="about so many values of each project")
    parser.add_argument("--days", type=int, default=3, help="of the simulated city")
    parser.add_argument("--whole", action="store_true", help="take all rows of the data sets, not those of the tests")
    return parser.parse_args(arguments)


def _said(tally: Tally) -> Tally:
    print(tally, flush=True)
    for example in tally.examples:
        print(f"  {example.cause}: {example}", flush=True)
    return tally


def real_data(data_set: DataSet, folder: Path, comparisons: int, *, whole: bool = False) -> Tally:
    """Verify the views of a public data set."""
    with tempfile.TemporaryDirectory() as root:
        made = run(data_set, folder, Path(root), whole=whole, n_labels=10)
        made.reference.close()
        return verified(data_set.name, made.platform, comparisons)


def simulated(comparisons: int, *, days: int = 3, drivers: int = 150) -> Tally:
    """Verify the views of the reference platform, on days that the simulator made."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        package = Path(data_platform.__file__).parent
        shutil.copy(package / "headrace.toml", root)
        shutil.copytree(package / "features", root / "features", ignore=shutil.ignore_patterns("__pycache__"))
        City(drivers=drivers, ping_interval_s=20.0).write(root, days)
        platform = Platform.open(root, clock=Clock(BEGAN + days * DAY + DAY // 8))
        platform.apply()
        platform.ingest()
        for view in platform.definitions.views:
            platform.backfill(view)
        return verified(CITY, platform, comparisons)


def verified(name: str, platform: Platform, comparisons: int) -> Tally:
    """Verify all views of a project: about so many values together."""
    tally, views = Tally(name), platform.definitions.views
    for view in views:
        tally.add(platform.verify(view, entities=300, comparisons=comparisons // len(views)))
    platform.context.online.close()
    return tally


def faults_are_named() -> list[str]:
    """Make each fault in a project of its own, and say what a verification calls it."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder) / "clean"
        filled(clean).context.online.close()
        for fault in FAULTS:
            root = Path(folder) / fault.make.__name__
            shutil.copytree(clean, root)
            platform = Platform.open(root, clock=Clock())
            fault.make(platform)
            platform.context.online.close()
            found = Platform.open(root, clock=fault.clock)
            report = found.verify(fault.view)
            found.context.online.close()
            named = set(report.by_cause) == {fault.cause}
            said = ", ".join(f"{count:,} {cause}" for cause, count in report.by_cause.items()) or "nothing differs"
            what = fault.make.__name__.replace("_", " ")
            lines.append(f"{what}: {said}" + ("" if named else f"; NOT NAMED {fault.cause}"))
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
