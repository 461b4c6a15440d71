"""Pushes rows one after another until it is killed, and says which were acknowledged."""

from __future__ import annotations

import sys
from pathlib import Path

from headrace.platform import Platform

ROW = {
    "driver_id": 7, "zone": "z" * 2000, "ts": "2026-01-05T08:00:00Z", "speed": 1.0, "seen_at": "2026-01-05T08:00:01Z",
}  # fmt: skip


def main() -> None:
    """Push five rows at a time; a line names them once they are acknowledged."""
    root, name = Path(sys.argv[1]), sys.argv[2]
    platform = Platform.open(root)
    number = 0
    while True:
        ids = [f"{name}-{number + more}" for more in range(5)]
        platform.push("gps", [{**ROW, "event_id": each} for each in ids])
        print(" ".join(ids), flush=True)
        number += 5


if __name__ == "__main__":
    main()
