"""What the workers of one server know of each other: a file each, with what it has counted."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Board:
    """The files of a server's workers.

    Parameters
    ----------
    folder : Path, optional
        Where they are, in memory at best; None for a server of one worker.
    number : int
        This worker's place.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Board(Path(folder), 0).write(b"mine")
    ...     Board(Path(folder), 1).others(), Board(Path(folder), 0).own()
    ([b'mine'], b'mine')
    """

    folder: Path | None
    number: int = 0

    def write(self, counted: bytes) -> None:
        """Let others read what this worker has counted."""
        if self.folder is not None:
            fresh = self.folder / f"{self.number}.new"
            try:
                fresh.write_bytes(counted)
                fresh.replace(self._path(self.number))
            except OSError as error:  # no room, or somebody tidied up: requests are answered all the same
                _log.warning("what this worker has counted is not known to the others: %s", error)

    def own(self) -> bytes:
        """What a worker in this place wrote last; empty if there was none."""
        return (
            b"" if self.folder is None or not self._path(self.number).exists() else self._path(self.number).read_bytes()
        )

    def others(self) -> list[bytes]:
        """What the other workers wrote last."""
        if self.folder is None:
            return []
        paths = self.folder.glob("*.counts")
        return [path.read_bytes() for path in sorted(paths) if path != self._path(self.number)]

    def _path(self, number: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{number}.counts"
