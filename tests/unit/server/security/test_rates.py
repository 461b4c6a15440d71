"""A bucket for each caller: a burst, then the rate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headrace.server.security.rates import Rates


def test_a_burst_goes_through_and_then_the_rate() -> None:
    rates = Rates(10, 3)
    assert [rates.take("a", 0.0) for _ in range(3)] == [0, 0, 0]
    assert rates.take("a", 0.0) == 0.1
    assert rates.take("a", 0.1) == 0
    assert rates.take("a", 0.1) == 0.1


def test_callers_do_not_share() -> None:
    rates = Rates(1, 1)
    assert rates.take("a", 0.0) == 0
    assert rates.take("b", 0.0) == 0
    assert rates.take("a", 0.0) == 1


def test_a_request_larger_than_the_burst_is_answered_and_paid_for_later() -> None:
    rates = Rates(10, 10)
    assert rates.take("a", 0.0, 50) == 0
    assert rates.take("a", 4.0, 1) == 0.1
    assert rates.take("a", 4.11, 1) == 0


def test_those_that_are_kept_are_bounded() -> None:
    rates = Rates(1, 1, most_callers=2)
    for who in "abc":
        rates.take(who, 0.0)
    assert len(rates._buckets) == 2
    assert rates.take("c", 0.0) == 1
    assert rates.take("a", 0.0) == 0


def test_a_clock_that_goes_back_gives_nothing() -> None:
    rates = Rates(10, 1)
    assert rates.take("a", 100.0) == 0
    assert rates.take("a", 0.0) == 0.1


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 5)), max_size=50))
def test_over_any_time_no_more_is_let_through_than_the_burst_and_the_rate(asked: list[tuple[float, float]]) -> None:
    rates, now, passed = Rates(3, 5), 0.0, 0.0
    for pause, amount in asked:
        now += pause
        passed += 0 if rates.take("a", now, amount) else amount
        assert passed <= 5 + 3 * now + 1e-6


@given(st.lists(st.floats(0, 2), max_size=30))
def test_who_waits_as_told_is_let_through(pauses: list[float]) -> None:
    rates, now = Rates(2, 2), 0.0
    for pause in pauses:
        now += pause
        if wait := rates.take("a", now):
            now += wait + 1e-6
            assert rates.take("a", now) == 0
