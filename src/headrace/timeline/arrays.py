"""Names for the arrays that the timeline works on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Payload = dict[str, NDArray[Any]]
"""Equally long columns: what a set of contributions carries, or the merged state at a set of steps."""
