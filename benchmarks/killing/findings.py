"""What a reader may find wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HALF_WRITTEN: Final = "half-written"
"""A table's version is not what it was computed from."""
UNAUDITED: Final = "unaudited"
"""A value that an audit should have rejected."""
MIXED: Final = "mixed"
"""An answer is that of no published version."""
BEHIND: Final = "behind"
"""An answer is that of a version which is not served any more."""
MISNUMBERED: Final = "misnumbered"
"""Publications are not numbered one by one, or a run has two."""
GONE: Final = "gone"
"""A published version can't be read."""
KINDS: Final = (HALF_WRITTEN, UNAUDITED, MIXED, BEHIND, MISNUMBERED, GONE)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    text : str
        What exactly.
    """

    kind: str
    text: str
