"""A picture of the page, taken by a browser without a window."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.errors import HeadraceError

VARIABLE: Final = "HEADRACE_TEST_CHROMIUM"
_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
_FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--window-size=1280,1360",
    "--virtual-time-budget=3000",
)  # fmt: skip
_SECONDS: Final = 60


def browser() -> str:
    """The browser's program.

    Raises
    ------
    HeadraceError
        If none is installed.
    """
    found = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if found is None:
        raise HeadraceError(f"a picture needs the browser chromium: install it, or set {VARIABLE} to its program.")
    return found


@dataclass(slots=True)
class Camera:
    """Takes a picture of a page, once, in a process beside.

    Parameters
    ----------
    file : Path or None
        The picture; None for none.
    folder : Path
        For what the browser keeps.
    """

    file: Path | None
    folder: Path
    _taking: subprocess.Popen[bytes] | None = None

    def take(self, url: str) -> None:
        """Begin to take it, unless it was begun or none is wanted."""
        if self.file is None or self._taking is not None:
            return
        polite = ["nice", "-n", "19"] if shutil.which("nice") else []  # what it shows is busy
        places = [f"--user-data-dir={self.folder}", f"--screenshot={self.file.resolve()}"]
        command = [*polite, browser(), *_FLAGS, *places, url]
        quiet = subprocess.DEVNULL
        self._taking = subprocess.Popen(command, stdout=quiet, stderr=quiet)  # noqa: S603 - the browser, see above

    def wait(self) -> None:
        """Wait until the picture is there, if it was begun.

        Raises
        ------
        HeadraceError
            If it was not taken.
        """
        if self.file is None or self._taking is None:
            return
        try:
            code = self._taking.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            raise HeadraceError(f"{self.file}: the browser did not take the picture in {_SECONDS} s.") from None
        if code or not self.file.exists():
            raise HeadraceError(f"{self.file}: the browser ended with {code} and took no picture.")

    def end(self) -> None:
        """End the browser, if it runs yet."""
        if self._taking is not None and self._taking.poll() is None:
            self._taking.terminate()
            self._taking.wait(_SECONDS)


@contextmanager
def photographing(file: Path | None, folder: Path) -> Iterator[Camera]:
    """A camera for the block; its browser ends with it."""
    camera = Camera(file, folder)
    if file is not None:
        browser()  # rather now than when the picture is due
    try:
        yield camera
    finally:
        camera.end()
