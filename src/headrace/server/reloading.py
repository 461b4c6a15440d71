"""Loading definitions again while requests are answered: with SIGHUP, or as the project's files change."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headrace.errors import HeadraceError
from headrace.platform import Platform

if TYPE_CHECKING:
    from headrace.server.answering import Answering

_SUFFIXES: Final = (".py", ".yaml", ".yml", ".toml")
_SKIPPED: Final = ("lake", "online", "__pycache__", ".venv", ".git")
_log: Final = logging.getLogger(__name__)


class Reloader:
    """Opens the project again, in a thread, and hands it over once it is there.

    A project that can't be opened changes nothing: the log says why, and requests are answered as before.

    Parameters
    ----------
    answering : Answering
        What answers.
    root : Path
        The project's folder.
    is_watching : bool
        Whether `look` looks for changes.
    """

    def __init__(self, answering: Answering, root: Path, *, is_watching: bool) -> None:
        self._answering, self._root, self._is_watching = answering, root, is_watching
        self._seen = _state(root) if is_watching else None
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def now(self) -> None:
        """Load definitions again; once more, if it is asked for while they are being loaded."""
        if self._task is not None and not self._task.done():
            self._again = True
            return
        self._task = asyncio.get_running_loop().create_task(self._reload())

    def look(self) -> None:
        """Load definitions again if a file has changed."""
        if not self._is_watching:
            return
        try:
            found = _state(self._root)
        except OSError:  # a file went while it was looked at, as editors do it: there is another look in a second
            return
        if found != self._seen:
            self._seen = found
            self.now()

    async def _reload(self) -> None:
        while True:
            self._again = False
            try:
                platform = await asyncio.to_thread(Platform.open, self._root, clock=self._answering.context.clock)
            except (HeadraceError, OSError, SystemExit) as error:  # the last: a module that calls sys.exit()
                told = f"sys.exit({error})" if isinstance(error, SystemExit) else error
                _log.error("definitions were not loaded again, the old ones stay in force: %s", told)
            else:
                self._answering.replace(platform)
                _log.warning("definitions were loaded again")
            if not self._again:
                return


def _state(root: Path) -> frozenset[tuple[str, int, int]]:
    """The project's own files as they are now."""
    found = set()
    for path in [
        *root.glob("*"),
        *(p for d in root.iterdir() if d.is_dir() and d.name not in _SKIPPED for p in d.rglob("*")),
    ]:
        if path.suffix in _SUFFIXES and path.is_file():
            stat = path.stat()
            found.add((str(path), stat.st_mtime_ns, stat.st_size))
    return frozenset(found)
