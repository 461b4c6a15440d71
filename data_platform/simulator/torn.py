"""Torn lines: what a writer leaves that died within a line and tried again."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

__all__ = ["tear"]


def tear(rng: np.random.Generator, lines: pl.Series, share: float) -> tuple[pl.Series, NDArray[np.int64]]:
    """Put the beginning of some lines in front of them.

    Parameters
    ----------
    rng
        Generator of the faults.
    lines
        JSON objects as text; the beginning of one is never valid JSON.
    share
        Share of the lines that are torn once.

    Returns
    -------
    tuple
        The lines with the torn ones between them, and the positions in `lines` of those that were torn.

    Examples
    --------
    >>> lines, torn = tear(np.random.default_rng(1), pl.Series(['{"a":1}', '{"a":2}']), share=1)
    >>> len(lines), torn.tolist(), lines[1], lines[3]
    (4, [0, 1], '{"a":1}', '{"a":2}')
    """
    torn = np.flatnonzero(rng.random(len(lines)) < share)
    whole = lines.gather(torn)
    kept = 1 + (rng.random(len(torn)) * (whole.str.len_chars().to_numpy() - 1)).astype(np.int64)
    pieces = pl.select(pl.lit(whole).str.head(pl.lit(pl.Series(kept)))).to_series()
    place = np.concatenate([torn - 0.5, np.arange(len(lines), dtype=np.float64)])
    both = pl.concat([pieces.rename("line"), lines.rename("line")])
    return both.gather(np.argsort(place, kind="stable")), torn
