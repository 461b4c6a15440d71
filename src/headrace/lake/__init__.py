"""The lake: tables whose commits are atomic, behind one protocol; `open_lake` picks the technology."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.lake.base import Lake


def open_lake(location: str | Path) -> Lake:
    """Open the lake at `location`, a folder of this machine. Nothing is read or made yet.

    Raises
    ------
    LakeError
        If the location is a URL of a store that is not supported.
    """
    from headrace.lake.delta import DeltaLake

    return DeltaLake(location)
