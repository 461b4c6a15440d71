"""Places where tests kill the process, to see that the next run mends everything."""

from __future__ import annotations

import os
import signal

_WANTED, _, _COUNT = os.environ.get("HEADRACE_CRASH_AT", "").partition(":")
_passes = {"left": int(_COUNT or 1)}


def crash_point(name: str) -> None:
    """Kill this process without any clean-up if ``HEADRACE_CRASH_AT`` says ``name`` or ``name:n`` (the n-th pass).

    Without that variable, which is read once, it does nothing.
    """
    if name == _WANTED:
        _passes["left"] -= 1
        if _passes["left"] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
