"""What a process and all that it started have used, from ``/proc``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def family_cpu_seconds(pid: int | None = None) -> float:
    """The processor's time of a process, this one by default, and of its descendants, ended ones included."""
    return sum(sum(int(ticks) for ticks in stat[11:15]) for stat in map(_stat, _family(pid or os.getpid()))) / _TICKS


def family_peak_rss_mb(pid: int | None = None) -> float:
    """The sum of the greatest memory that each of them has held, in millions of bytes."""
    return sum(_peak_kb(member) for member in _family(pid or os.getpid())) * 1024 / 1e6


def _family(pid: int) -> Iterator[int]:
    yield pid
    for thread in Path(f"/proc/{pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            yield from _family(int(child))


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # the name may hold spaces


def _peak_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)  # none of a zombie
