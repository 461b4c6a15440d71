"""Putting equal rows together: as sorting by all columns does, whichever way is taken."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from headrace.timeline.sorting import together

WIDE = 2**63 - 1
few = st.integers(-3, 3)
hops = st.integers(0, 5).map(lambda n: n * 30_000_000)
any_number = st.integers(-WIDE, WIDE)


@given(st.data(), st.integers(0, 30), st.integers(1, 4))
def test_it_is_the_order_of_all_columns(data: st.DataObject, n: int, width: int) -> None:
    elements = [data.draw(st.sampled_from([few, hops, any_number])) for _ in range(width)]
    columns = [data.draw(arrays(np.int64, n, elements=each)) for each in elements]
    order, fresh = together(columns)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    wanted = sorted(range(n), key=lambda place: rows[place])
    assert order.tolist() == wanted
    assert fresh.tolist() == [i == 0 or rows[wanted[i]] != rows[wanted[i - 1]] for i in range(n)]


def test_columns_that_are_no_integers_are_compared() -> None:
    order, fresh = together([np.array([1, 1, 0]), np.array([0.5, 0.25, 9.0])])
    assert order.tolist() == [2, 1, 0]
    assert fresh.tolist() == [True, True, True]
