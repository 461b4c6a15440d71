"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from headrace.server.endpoints import Right

Kind = Literal["key", "token", "anonymous"]
GrantedRight = Literal["read", "push", "materialize", "admin"]
"""The rights that a key or a token can have: those of an endpoint but for "anyone", which nobody has to have."""
RIGHTS: Final[tuple[GrantedRight, ...]] = get_args(GrantedRight)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who was let in.

    Parameters
    ----------
    name : str
        A key's public id, a token's subject, or "anonymous". Never a secret.
    kind : str
        How they showed who they are.
    rights : frozenset of str
        What they may do.
    services : frozenset of str, optional
        The services they may read; all where it is None.
    """

    name: str
    kind: Kind
    rights: frozenset[Right]
    services: frozenset[str] | None = None

    @property
    def described(self) -> str:
        """The caller in a message, such as ``the key 5f0c…``."""
        return "an anonymous caller" if self.kind == "anonymous" else f"the {self.kind} {self.name!r}"


ANONYMOUS: Final = Caller("anonymous", "anonymous", frozenset(RIGHTS))
"""Anybody, where neither keys nor tokens are asked for."""
