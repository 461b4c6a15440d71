"""Personal columns: how they are made harmless on their way to silver."""

from __future__ import annotations

from dataclasses import dataclass

from headrace.errors import DefinitionError


@dataclass(frozen=True, slots=True)
class Mask:
    """How a personal column is masked.

    Parameters
    ----------
    method : str
        ``hmac`` (a keyed hash: equal values stay equal, the key is in the environment),
        ``drop`` (null), or ``truncate`` (texts to their first `keep` characters, numbers to
        `keep` digits behind the point, instants to their day).
    keep : int
        For ``truncate``.
    """

    method: str
    keep: int = 0


def hmac() -> Mask:
    """Replace by HMAC-SHA256 under the key in ``HEADRACE_MASK_KEY``, as hexadecimal text."""
    return Mask("hmac")


def drop() -> Mask:
    """Replace by null."""
    return Mask("drop")


def truncate(keep: int) -> Mask:
    """Keep only the first `keep` characters, or digits behind the point."""
    if keep < 0:
        raise DefinitionError(f"truncate({keep}): keep zero or more.")
    return Mask("truncate", keep)
