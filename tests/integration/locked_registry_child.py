"""A process of its own that backfills while another connection writes to the registry: ``python -m … DIR [END]``.

The other connection takes the registry's lock when the candidate is committed and not yet numbered.
"""

from __future__ import annotations

import sqlite3
import sys
from dataclasses import replace
from typing import Any

from headrace.errors import RegistryError
from headrace.platform import Platform, registering
from headrace.platform.backfill import backfill
from headrace.registry.sql import SqlRegistry
from tests.integration.pings import NOW


def main() -> None:
    """Print what the backfill says."""
    platform = Platform.open(sys.argv[1], clock=lambda: NOW)
    root = platform.context.root
    registry = SqlRegistry(f"sqlite:///{root / 'registry.db'}", busy_seconds=0.3)
    writes = sqlite3.connect(root / "registry.db", isolation_level=None)
    prepare = registering.prepared  # type: ignore[attr-defined]

    def prepared(*given: Any) -> Any:
        shown = prepare(*given)
        writes.execute("BEGIN IMMEDIATE")
        return shown

    registering.prepared = prepared  # type: ignore[assignment, attr-defined]
    try:
        backfill(replace(platform.context, registry=registry), "driver_now", end=int(sys.argv[2]))
    except RegistryError as error:
        print(error, flush=True)
    writes.close()


if __name__ == "__main__":
    main()
