"""Run it and print the tally; exit 1 if anything was wrong."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.serving_chaos.chaos import chaos


def main() -> None:
    """As the arguments say."""
    asked = argparse.ArgumentParser(prog="python -m tests.serving_chaos", description=__doc__)
    asked.add_argument("--seconds", type=float, default=600.0)
    asked.add_argument("--seed", type=int, default=7)
    asked.add_argument("--rate", type=float, default=150.0, help="requests a second")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-serving-chaos-") as folder:
        tally = chaos(Path(folder), given.seconds, given.seed, given.rate)
    print(tally)
    sys.exit(not tally.is_clean())


if __name__ == "__main__":
    main()
