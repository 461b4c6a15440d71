"""Three readings of the same points side by side, and the tally of where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from headrace.platform.verify_causes import CAUSES, UNEXPLAINED, Causes
from headrace.platform.verify_report import LISTED, Difference

if TYPE_CHECKING:
    from headrace.platform.verify_values import Codes, Comparer, Points, Values

Cells = NDArray[np.bool_]
"""For each point (row) and feature (column)."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one place says at the points.

    Parameters
    ----------
    values : Values
        Its values.
    asked : bool array, shape (n_points, n_features)
        Where it has to answer.
    """

    values: Values
    asked: Cells

    def differs(self, recomputed: Values, points: Points, comparer: Comparer) -> Cells:
        """Where it says something else."""
        return np.asarray(self.asked & comparer.differs(self.values, recomputed, points))


@dataclass(frozen=True, slots=True)
class Differing:
    """The points at which something differs.

    Parameters
    ----------
    points : Points
        They.
    recomputed : Values
        What it should be.
    offline, online : Answers
        What it is; `online` is None where nothing is served.
    by_offline, by_online : bool arrays
        Where each differs.
    """

    points: Points
    recomputed: Values
    offline: Answers
    online: Answers | None
    by_offline: Cells
    by_online: Cells

    @classmethod
    def of(
        cls, points: Points, recomputed: Values, offline: Answers, online: Answers | None, comparer: Comparer
    ) -> Differing:
        """Those of some points."""
        by_offline = offline.differs(recomputed, points, comparer)
        by_online = np.zeros_like(by_offline) if online is None else online.differs(recomputed, points, comparer)
        place = np.flatnonzero((by_offline | by_online).any(axis=1))
        some = None if online is None else Answers(online.values.take(place), online.asked[place])
        return cls(
            points.take(place), recomputed.take(place), Answers(offline.values.take(place), offline.asked[place]),
            some, by_offline[place], by_online[place],
        )  # fmt: skip

    def causes(self, known: Causes) -> Codes:
        """The cause of each difference; where both places differ, one that holds for each of them."""
        found = np.zeros(self.by_offline.shape, dtype=np.uint8)
        if self.by_online.any() and self.online is not None:
            found = np.where(self.by_online, known.of_online(self.online.values, self.points), found)
        if self.by_offline.any():
            own = known.of_offline(self.offline.values, self.points)
            both = self.by_offline & self.by_online & (found == UNEXPLAINED)
            found = np.where(self.by_offline & ~both, own, found)
        return found.astype(np.uint8)

    def listed(self, causes: Codes) -> list[Difference]:
        """The first differences of each cause."""
        anywhere = self.by_offline | self.by_online
        found = []
        for cause in range(len(CAUSES)):
            rows, columns = np.nonzero(anywhere & (causes == cause))
            pairs = zip(rows[:LISTED].tolist(), columns[:LISTED].tolist(), strict=True)
            found += [self._difference(row, column, CAUSES[cause]) for row, column in pairs]
        return found

    def tally(self, causes: Codes) -> dict[str, int]:
        """How many differences each cause has."""
        counts = np.bincount(causes[self.by_offline | self.by_online], minlength=len(CAUSES))
        return {name: int(count) for name, count in zip(CAUSES, counts, strict=True) if count}

    def _difference(self, row: int, column: int, cause: str) -> Difference:
        points, online = self.points, self.online
        key = points.entities.row(int(points.entity[row]), named=True) if points.entities.columns else {}
        return Difference(
            key,
            int(points.time[row]),
            self.recomputed.frame.columns[column],
            self.offline.values.reading(row, column) if self.offline.asked[row, column] else None,
            online.values.reading(row, column) if online is not None and online.asked[row, column] else None,
            self.recomputed.reading(row, column),
            cause,
        )
