"""Publishes and rolls back until nobody is at the other end of standard input; says what it does, a line of JSON each.

``python -m tests.serving_chaos.publisher ROOT SEED``
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from headrace.errors import HeadraceError, OnlineStoreError
from headrace.platform import Platform
from tests.serving_chaos.city import VIEWS, put

_REST_SECONDS: Final = (0.1, 1.0)
_ROLLBACKS: Final = 0.35
_AGAIN_SECONDS: Final = 0.2


class Publisher:
    """One that knows which wave each publication has."""

    def __init__(self, root: Path, seed: int) -> None:
        self._platform, self._random = Platform.open(root), random.Random(seed)
        self._wave = 0
        self._waves: dict[str, dict[int, int]] = {view: {} for view in VIEWS}
        """By the number of the publication that has the content."""

    def begin(self) -> None:
        """The first version of each view."""
        self._put()
        for view in VIEWS:
            self._backfill(view)

    def once(self) -> None:
        """Publish or roll back a view."""
        view = self._random.choice(VIEWS)
        if len(self._waves[view]) > 1 and self._random.random() < _ROLLBACKS:
            number = self._random.choice(sorted(self._waves[view])[-4:])
            wave = self._waves[view][number]
            self._do("rollback", view, wave, lambda: self._platform.rollback(view, number))
            self._platform.release(view)
        else:
            self._put()
            self._backfill(view)

    def _put(self) -> None:
        self._wave += 1
        put(self._platform, self._wave)

    def _backfill(self, view: str) -> None:
        self._do("backfill", view, self._wave, lambda: self._platform.backfill(view))

    def _do(self, what: str, view: str, wave: int, act: Callable[[], Any]) -> None:
        _say(kind="begin", what=what, view=view, wave=wave)
        try:
            act()
        except OnlineStoreError as error:
            _say(kind="away", view=view, error=str(error)[:200])
            self._materialize(view)
        served = self._platform.context.registry.serving()[view]
        wave = self._waves[view].setdefault(served.content_of, wave)
        _say(kind="end", what=what, view=view, wave=wave)

    def _materialize(self, view: str) -> None:
        """Bring the store to what is published, as the error says."""
        while True:
            time.sleep(_AGAIN_SECONDS)
            try:
                self._platform.materialize(view)
            except OnlineStoreError:
                continue
            return


def _say(**what: Any) -> None:
    print(json.dumps({"at": time.monotonic(), **what}), flush=True)


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def main() -> None:
    """Work until told to end."""
    publisher, ended = Publisher(Path(sys.argv[1]), int(sys.argv[2])), threading.Event()
    publisher.begin()
    _say(kind="ready")
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    rest = random.Random(int(sys.argv[2]))
    while not ended.wait(rest.uniform(*_REST_SECONDS)):
        try:
            publisher.once()
        except HeadraceError as error:
            _say(kind="error", error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
