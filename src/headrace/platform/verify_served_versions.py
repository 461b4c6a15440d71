"""Which publication of a view was in force when, and what each of them says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from headrace.definitions.fingerprint import view_fingerprint
from headrace.errors import DefinitionError
from headrace.platform.gold import Gold
from headrace.platform.past_definitions import view_as_of

if TYPE_CHECKING:
    from headrace.definitions.views import Selection
    from headrace.platform.context import Context
    from headrace.registry.base import Publication
    from headrace.timeline.arrays import Ints


@dataclass(frozen=True)
class Versions:
    """The publications of a view that a service reads.

    Parameters
    ----------
    context : Context
        The project.
    chosen : Selection
        The view; under its own definition where the service pins a version.
    """

    context: Context
    chosen: Selection

    @cached_property
    def all(self) -> Sequence[Publication]:
        """Every publication, oldest first."""
        return self.context.registry.publications(self.chosen.view.name)

    @cached_property
    def forces(self) -> list[Publication]:
        """Those that came in force, in the order in which they did.

        One of another definition did so when it reached as far as the one before.
        """
        own = None if self.chosen.version is None else view_fingerprint(self.chosen.view)
        found: list[Publication] = []
        for each in self.all:
            if not each.served or own not in (None, each.fingerprint):
                continue
            before = found[-1] if found else None
            same = before is None or each.fingerprint == before.fingerprint or each.kind == "rollback"
            if same or (before is not None and each.frontier >= before.frontier):
                found.append(each)
        return found

    @cached_property
    def reach(self) -> int:
        """Through when something was published under any definition: so far rows are known, in microseconds."""
        return max((each.frontier for each in self.all), default=0)

    def in_force(self, time: Ints) -> Ints:
        """For each time the place in `forces` of what was in force; -1 before the first."""
        since = np.array([each.published_at for each in self.forces], dtype=np.int64)
        return np.asarray(np.searchsorted(since, time, side="right") - 1)

    def by_number(self, number: int) -> Publication | None:
        """The publication with a number."""
        return next((each for each in self.all if each.number == number), None)

    def gold(self, publication: Publication) -> Gold | None:
        """What a publication published; None where its files or its definition are gone."""
        if publication.vacuumed:
            return None
        try:
            view = view_as_of(self.context, self.chosen.view, publication.fingerprint)
        except DefinitionError:
            return None
        return Gold.unpublished(self.context.lake, view).published_as(publication)

    def newest(self, fingerprint: str) -> Gold | None:
        """The newest that was published under a definition: the truth about all that it covers."""
        own = [each for each in self.all if each.fingerprint == fingerprint and not each.vacuumed]
        return self.gold(own[-1]) if own else None
