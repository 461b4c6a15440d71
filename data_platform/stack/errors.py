"""What goes wrong with the servers of one machine."""

from __future__ import annotations

from headrace.errors import HeadraceError

__all__ = ["StackError"]


class StackError(HeadraceError):
    """A server of the local stack can't be had, started or reached."""
