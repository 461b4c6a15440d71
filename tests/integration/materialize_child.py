"""A process of its own that backfills and so publishes a test project: ``python -m … DIR END``.

It is killed at ``HEADRACE_CRASH_AT``.
"""

from __future__ import annotations

import sys

from headrace.platform import Platform
from tests.integration.pings import NOW


def main() -> None:
    """Backfill until an instant, then make sure that the store has it."""
    platform = Platform.open(sys.argv[1], clock=lambda: NOW)
    platform.backfill("driver_now", end=int(sys.argv[2]))
    platform.materialize("driver_now")


if __name__ == "__main__":
    main()
