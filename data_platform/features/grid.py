"""Cells of one square kilometre: a grid on the cylindrical equal-area projection.

Why not H3: the area of its cells of resolution 8 is 0.45 to 0.89 km², 0.65 to 0.78 km² between these
cities alone, so equal counts would not mean equal demand; and a library numbers them one point at a
time, where a view's transform is an expression that Polars and Spark both run. Here every cell has
exactly 1 km², and its number takes a sine and a few products.

The projection (Lambert's, with standard parallels) keeps areas and stretches shapes. Cells are square
at 33° N, between the cities of this platform: in Muscat they are 1.09 km wide and 0.92 km high, in
Tbilisi 0.89 km wide and 1.12 km high.

Source: J. P. Snyder, Map Projections: A Working Manual, U.S. Geological Survey (1987), section 10.
"""

from __future__ import annotations

import math
from typing import Final

import narwhals as nw

EARTH_RADIUS_KM: Final = 6371.0072
"""Of the sphere with the Earth's surface area."""
SQUARE_AT_DEGREES: Final = 33.0
ROW: Final = 100_000
"""A cell's number is its row from the south pole times this, plus its column from 180° W."""

_STRETCH: Final = math.cos(math.radians(SQUARE_AT_DEGREES))


def cell_number(lat: nw.Expr, lon: nw.Expr) -> nw.Expr:
    """The number of the cell that holds each point.

    Parameters
    ----------
    lat, lon : narwhals.Expr
        Degrees, within [-90, 90] and [-180, 180]; null gives null.

    Returns
    -------
    narwhals.Expr
        Int64.

    Examples
    --------
    >>> import polars as pl
    >>> points = nw.from_native(pl.DataFrame({"lat": [25.204, 25.2045], "lon": [55.271, 55.29]}))
    >>> points.select(cell=cell_number(nw.col("lat"), nw.col("lon")))["cell"].to_list()
    [1083121940, 1083121942]
    """
    east_km = (lon + 180) * math.radians(1) * EARTH_RADIUS_KM * _STRETCH
    north_km = ((lat * math.radians(1)).sin() + 1) * EARTH_RADIUS_KM / _STRETCH
    return (north_km.floor() * ROW + east_km.floor()).cast(nw.Int64)
