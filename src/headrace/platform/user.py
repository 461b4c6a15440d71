"""Who is at work."""

from __future__ import annotations

import getpass


def user() -> str:
    """The name of the user who runs this process; empty where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return ""
