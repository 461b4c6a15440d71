"""Steps that are scheduled: windows that will end, and rows that count only from the frontier on.

They follow from what is carried at the frontier, and come though nothing new arrives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from headrace.engines.polars_parts import CarriedParts
from headrace.types import FOREVER

if TYPE_CHECKING:
    import polars as pl

    from headrace.engines.base import Carry, Engine
    from headrace.platform.gold import Gold

STEPS_AT_ONCE = 400_000
ENTITIES_AT_ONCE = 100_000
_FAR = FOREVER // 4


@dataclass(frozen=True, slots=True)
class Schedule:
    """The scheduled steps of some entities.

    Parameters
    ----------
    gold : Gold
        Whose frontier it is.
    engine : Engine
        Computes them.
    no_rows : frame
        Rows of silver, none.
    parts : CarriedParts
        What is carried of the entities.
    """

    gold: Gold
    engine: Engine
    no_rows: pl.DataFrame
    parts: CarriedParts

    @classmethod
    def of(cls, gold: Gold, engine: Engine, carry: Carry, entities: pl.DataFrame, no_rows: pl.DataFrame) -> Schedule:
        """The schedule of entities that are numbered in `headrace.engines.polars_parts.PLACE`."""
        return cls(gold, engine, no_rows, CarriedParts.of(gold.view, carry, entities))

    def chunks(self) -> Iterator[tuple[int, int]]:
        """The places of entities ``low … high - 1`` whose steps fit into memory."""
        steps = np.concatenate([[0], np.cumsum(self.parts.weights)])
        low, n = 0, len(self.parts.weights)
        while low < n:
            fits = int(np.searchsorted(steps, steps[low] + STEPS_AT_ONCE, side="right")) - 1
            high = min(max(fits, low + 1), low + ENTITIES_AT_ONCE, n)
            yield low, high
            low = high

    def steps(self, low: int, high: int) -> tuple[pl.DataFrame | None, Mapping[str, pl.DataFrame]]:
        """The scheduled steps of a chunk, None if there are none, and the elements that they come from."""
        carry = self.parts.part(low, high)
        if not self.parts.weights[low:high].any():
            return None, carry.elements
        computed = self.engine.compute(self.gold.view, self.no_rows, carry, carry.until, _FAR)
        return computed.steps, carry.elements
