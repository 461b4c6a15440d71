"""Running contenders on the same inputs, each in a process of its own, and saying what came out.

The machine may be noisy: contenders take turns, and the best of the rounds counts. Peak memory is that of
a contender's own process. What a contender returns in the first round is kept, to be compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # its memory would count as that of contenders which do not use it
    import polars as pl

ROOT = Path(__file__).parents[1]
OURS = "headrace"
ROUNDS = 3
Contender = Callable[[Path], "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a contender hands back.

    Parameters
    ----------
    result : frame
        To be compared with the others'.
    seconds : float, optional
        The time that counts, where it is not that of the whole call.
    peak_rss_mb : float, optional
        Its peak memory, where what followed is not meant.
    notes : mapping
        Figures of its own.
    cpu_seconds : float, optional
        The processor's time for the same; on a machine that others use, it tells more than the clock's.
    """

    result: pl.DataFrame
    seconds: float | None = None
    peak_rss_mb: float | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    cpu_seconds: float | None = None


class Watch:
    """Measures from when it is made until `outcome`."""

    def __init__(self) -> None:
        self._began, self._cpu_began = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> float:
        """So far."""
        return time.perf_counter() - self._began

    def outcome(self, result: Callable[[], pl.DataFrame], notes: Mapping[str, Any] | None = None) -> Outcome:
        """Stop; what `result` still does is not measured."""
        seconds, cpu_seconds = self.seconds, time.process_time() - self._cpu_began
        peak = peak_rss_mb()
        return Outcome(result(), seconds, peak, notes or {}, cpu_seconds)


@dataclass(frozen=True, slots=True)
class Measured:
    """The best of a contender's rounds."""

    seconds: float
    peak_rss_mb: float
    notes: Mapping[str, Any]
    result: Path
    cpu_seconds: float

    def frame(self) -> pl.DataFrame:
        """What it returned."""
        import polars as pl

        return pl.read_parquet(self.result)


@dataclass(frozen=True, slots=True)
class Line:
    """What a benchmark says: one JSON object.

    Parameters
    ----------
    bench, unit : str
        Its name, and what `ours` and `peers` count; more is better.
    ours : float
        Our figure.
    peers : mapping of str to float
        Theirs.
    ratio : float, optional
        `ours` over the best peer's, or what the benchmark says instead; none without a peer.
    goal : str
        What it should reach.
    met, equal : bool
        Whether it does, and whether the results were the same.
    peak_rss_mb : float
        Our peak memory.
    peers_rss_mb : mapping of str to float
        Theirs.
    extra : mapping
        Further keys.
    """

    bench: str
    unit: str
    ours: float
    peers: Mapping[str, float]
    ratio: float | None
    goal: str
    met: bool
    equal: bool
    peak_rss_mb: float
    peers_rss_mb: Mapping[str, float]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The JSON line."""
        own = {name: getattr(self, name) for name in self.__slots__ if name != "extra"}
        return json.dumps(_rounded({**own, **self.extra}))


@dataclass(frozen=True, slots=True)
class Foreign:
    """A contender with an environment of its own.

    Parameters
    ----------
    python : Path
        The environment's Python.
    module : str
        Its ``CONTENDERS`` has the contender, by the same name.
    most_rounds : int
        For one that takes minutes.
    """

    python: Path
    module: str
    most_rounds: int = ROUNDS


def measured(
    module: str, contenders: Sequence[str], inputs: Path, rounds: int = ROUNDS,
    foreign: Mapping[str, Foreign] = MappingProxyType({}),
) -> dict[str, Measured]:  # fmt: skip
    """Run each contender of a benchmark's module `rounds` times, in turns.

    Parameters
    ----------
    module : str
        Its ``CONTENDERS`` maps names to functions of the folder with the inputs.
    contenders : sequence of str
        Which of them.
    inputs : Path
        The folder.
    rounds : int
        How often.
    foreign : mapping of str to Foreign
        Those that run elsewhere, after the others of a round.
    """
    best: dict[str, Measured] = {}
    homes = {**{name: Foreign(Path(sys.executable), module, rounds) for name in contenders}, **foreign}
    for number in range(rounds):
        for name, home in homes.items():
            if number >= home.most_rounds:
                continue
            found = _in_own_process(home, name, inputs, keep=number == 0)
            best[name] = min((found, best.get(name, found)), key=lambda m: m.seconds)
    return best


def scratch(parent: Path | None) -> tempfile.TemporaryDirectory[str]:
    """A folder that goes away afterwards."""
    return tempfile.TemporaryDirectory(prefix="headrace-bench-", dir=parent)


def _in_own_process(home: Foreign, name: str, inputs: Path, keep: bool) -> Measured:
    result = inputs / f"result-{name}.parquet"
    kept = str(result) if keep else ""
    command = [str(home.python), "-m", "benchmarks.harness", home.module, name, str(inputs), kept]
    path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)  # noqa: S603, PLW1510
    if done.returncode:
        raise RuntimeError(f"{home.module}, {name}: {done.stderr}")
    said = json.loads(done.stdout.splitlines()[-1])
    return Measured(said["seconds"], said["peak_rss_mb"], said["notes"], result, said["cpu_seconds"])


def _contend(module: str, name: str, inputs: str, result: str) -> None:
    from importlib import import_module

    contender: Contender = import_module(module).CONTENDERS[name]
    began, cpu_began = time.perf_counter(), time.process_time()
    outcome = contender(Path(inputs))
    seconds = time.perf_counter() - began if outcome.seconds is None else outcome.seconds
    cpu_seconds = time.process_time() - cpu_began if outcome.cpu_seconds is None else outcome.cpu_seconds
    peak = peak_rss_mb() if outcome.peak_rss_mb is None else outcome.peak_rss_mb
    said = {"seconds": seconds, "peak_rss_mb": peak, "notes": dict(outcome.notes), "cpu_seconds": cpu_seconds}
    if result:
        outcome.result.write_parquet(result)
    print(json.dumps(said))


def peak_rss_mb() -> float:
    """The greatest memory that this process has held, in millions of bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # unlike getrusage, it starts anew with the program
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(inner) for name, inner in value.items()}
    if isinstance(value, float):
        return round(value) if abs(value) >= 1000 else float(f"{value:.4g}")
    return value


if __name__ == "__main__":
    _contend(*sys.argv[1:])
