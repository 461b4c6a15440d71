"""Lets many processes work on one project at once, and counts wrong answers, lost steps and unexpected errors.

``python -m benchmarks.concurrency --seconds 300 --seed 1``

Three processes backfill different and the same spans of the same views; one ingests (each third round with poison,
which the audit has to reject); one each rolls back and releases, materializes, vacuums, optimizes and serves over
HTTP; two read training sets and the online store, and check that each answer is that of one published version. At the
end everything is brought up to date and compared with the steps that one computation gives.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.contending.contention import contend
from benchmarks.contending.tally import print_tally


def main() -> None:
    """Contend as the arguments say; exit with 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.concurrency", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="an empty folder for the project, which is kept")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        tally = contend(given.seconds, given.seed, folder, lambda text: print(text, file=sys.stderr, flush=True))
    print_tally(tally)
    sys.exit(0 if tally.is_clean else 1)


if __name__ == "__main__":
    main()
