"""Random columns from a seed."""

from __future__ import annotations

import numpy as np

from headrace.timeline.arrays import Floats, Ints


class Drawn:
    """Columns drawn one after the other from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def integers(self, below: int, n: int) -> Ints:
        """Whole numbers from 0."""
        return self._random.integers(0, below, n)

    def floats(self, low: float, high: float, n: int) -> Floats:
        """Numbers from `low` to `high`."""
        return self._random.uniform(low, high, n)
