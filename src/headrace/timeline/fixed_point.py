"""Floats as whole numbers, so that sums over history can be taken back exactly.

A running sum of floats that adds what begins and takes away what ends keeps the rounding of all that
passed. Whole numbers have none: `fixed_point` rounds each float once, by at most `RELATIVE_ERROR` of
itself, and from there on everything is exact. So a sum's error is bounded by its own rows. The numbers
are kept as two limbs, ``(high * 2**32 + low) * 2**-exponent``: values may differ by a factor of 2**60,
divided by how many are added. Where they differ by more, there is none, and floats have to be merged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headrace.timeline.arrays import Floats, Ints

LIMB_BITS = 32
RELATIVE_ERROR = 2.0**-33
_HIGH_BITS = 62


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """Numbers ``(high * 2**32 + low) * 2**-exponent``; sums of them, limb by limb, are of the same form.

    Parameters
    ----------
    high, low : int64 arrays
        The limbs; where each number stands alone, ``0 <= low <= 2**32``.
    exponent : int
        That of all.
    """

    high: Ints
    low: Ints
    exponent: int

    def floats(self) -> Floats:
        """The numbers as floats, rounded once."""
        return np.ldexp(self.high.astype(np.float64) * 2.0**LIMB_BITS + self.low, -self.exponent)


def fixed_point(values: Floats, most: int) -> FixedPoint | None:
    """Write floats as whole numbers of one unit.

    Parameters
    ----------
    values : float64 array
        Finite.
    most : int
        How many of them are added at most; less than 2**31.

    Returns
    -------
    FixedPoint or None
        None where some value would be rounded by more than `RELATIVE_ERROR` of itself.

    Examples
    --------
    >>> found = fixed_point(np.array([0.5, -3.0, 1e9]), most=3)
    >>> found.floats().tolist()
    [0.5, -3.0, 1000000000.0]
    >>> fixed_point(np.array([1e-9, 1e15]), most=3) is None
    True
    """
    sizes = np.abs(values)
    greatest = float(sizes.max(initial=0.0))
    if greatest == 0.0:
        return FixedPoint(np.zeros(len(values), dtype=np.int64), np.zeros(len(values), dtype=np.int64), 0)
    exponent = _HIGH_BITS + LIMB_BITS - int(np.frexp(greatest)[1]) - int(most).bit_length()
    least = float(np.where(sizes > 0.0, sizes, greatest).min())
    if np.ldexp(least, exponent) * RELATIVE_ERROR < 0.5:
        return None
    scaled = np.ldexp(values, exponent)
    high = np.floor(scaled * 2.0**-LIMB_BITS)
    low = np.rint(scaled - high * 2.0**LIMB_BITS)
    return FixedPoint(high.astype(np.int64), low.astype(np.int64), exponent)
