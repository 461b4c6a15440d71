"""Connections: one thread each, in turn, kept from call to call."""

from __future__ import annotations

import threading
import time

import pytest

from headrace_client.addresses import Address
from headrace_client.pool import BusyError, Pool, Turns
from headrace_client.retrying import Deadline


def pool(most: int = 2) -> Pool:
    return Pool(Address.of("http://127.0.0.1:1", None, None, {}, most, verify=True))


def test_the_one_used_last_is_used_next() -> None:
    made = pool()
    with made.connection(Deadline(1)) as first, made.connection(Deadline(1)) as second:
        assert first is not second
    with made.connection(Deadline(1)) as again:
        assert again is first, "it was put back last"
    made.close()


def test_who_finds_all_in_use_waits_until_the_deadline() -> None:
    made = pool(1)
    with made.connection(Deadline(1)), pytest.raises(BusyError), made.connection(Deadline(0.05)):
        pass
    with made.connection(Deadline(0.05)):
        pass
    made.close()


def test_one_in_use_is_closed_when_it_is_put_back() -> None:
    made = pool()
    with made.connection(Deadline(1)) as connection:
        made.close()
        assert not connection.is_closed
    assert connection.is_closed


def test_who_waits_longest_is_next() -> None:
    turns, order = Turns(1), []
    assert turns.take(0)

    def wait(number: int) -> None:
        assert turns.take(30)
        order.append(number)
        turns.give_back()

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        until = time.monotonic() + 10
        while len(turns._waiting) <= number and time.monotonic() < until:
            time.sleep(0.001)
    turns.give_back()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    assert turns.take(0)
    assert not turns.take(0)
