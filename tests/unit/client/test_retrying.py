"""When a request is sent again: what comes of each try is given, and what is done next is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from headrace_client import DeadlineExceeded, HeadraceClientError, Overloaded, Unavailable
from headrace_client.failures import nearest, retry_after_seconds
from headrace_client.retrying import Deadline, Lost, Outcome, Reply, Retrying, Send, Wait, call

OK = Reply(200, {}, b"{}")
BUSY = Reply(503, {}, b'{"error": {"type": "OverloadedError", "message": "busy"}}')
AWAY = Reply(503, {}, b'{"error": {"type": "OnlineStoreError", "message": "the store is away"}}')


def played(
    outcomes: Sequence[Outcome], *, retries: int = 3, seconds: float = 10, each: float = 0.0, drawn: float = 1.0
) -> tuple[list[float], Reply | HeadraceClientError]:
    """The waits between tries and what came of it, on a clock on which a try takes so long."""
    now = [0.0]
    deadline = Deadline(seconds, lambda: now[0])
    plan = call("GET", "/x", None, deadline, Retrying(retries, drawn=lambda: drawn))
    left, waits, outcome = list(outcomes), [], None
    try:
        while True:
            action = plan.send(outcome)
            if isinstance(action, Wait):
                waits.append(action.seconds)
                now[0] += action.seconds
                outcome = None
            else:
                assert isinstance(action, Send)
                now[0] += each
                outcome = left.pop(0)
    except StopIteration as end:
        return waits, end.value
    except HeadraceClientError as error:
        return waits, error


def test_an_answer_ends_it() -> None:
    assert played([OK]) == ([], OK)


def test_waits_double_up_to_a_bound() -> None:
    waits, found = played([Lost("reset")] * 9 + [OK], retries=9, seconds=100)
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert found == OK


def test_waits_are_drawn_from_nothing_on() -> None:
    assert played([AWAY, AWAY, OK], drawn=0.0) == ([0.0, 0.0], OK)


def test_it_is_tried_so_often_and_not_once_more() -> None:
    waits, found = played([AWAY] * 4)
    assert len(waits) == 3
    assert isinstance(found, Unavailable)
    assert (found.status, found.kind, str(found)) == (503, "OnlineStoreError", "the store is away")


def test_nothing_is_tried_beyond_the_deadline() -> None:
    waits, found = played([Lost("reset")] * 9, retries=9, seconds=1, each=0.4)
    assert sum(waits) + 0.4 * (len(waits) + 1) < 1.4
    assert isinstance(found, Unavailable)
    assert "tried 3 times" in str(found)


def test_a_wait_that_ends_after_the_deadline_is_not_begun() -> None:
    waits, found = played([Reply(503, {"retry-after": "3"}, BUSY.body)], seconds=3)
    assert waits == []
    assert isinstance(found, Overloaded)
    assert found.retry_after_seconds == 3


def test_the_server_says_when() -> None:
    waits, found = played([Reply(429, {"retry-after": "2"}, b""), OK])
    assert waits == [2.05], "and a little later, so that not all come at once"
    assert found == OK


def test_what_is_late_says_so() -> None:
    _, found = played([Lost("it did not answer", is_late=True)], seconds=1, each=1)
    assert isinstance(found, DeadlineExceeded)
    assert str(found) == "there was no answer within 1 s (tried once): it did not answer."


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500, 307])
def test_what_another_try_would_not_help_is_told_at_once(status: int) -> None:
    waits, found = played([Reply(status, {}, b"no")])
    assert waits == []
    assert isinstance(found, HeadraceClientError)
    assert (found.status, found.message) == (status, "no")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("0", 0), ("1.5", 1.5), ("Mon, 05 Jan 2026 12:00:07 GMT", 7), ("Mon, 05 Jan 2026 11:00:00 GMT", 0),
        ("soon", None), ("", None), ("-3", None),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_time(said: str, seconds: float | None) -> None:
    assert retry_after_seconds({"retry-after": said}, datetime(2026, 1, 5, 12, tzinfo=UTC)) == seconds


def test_names_that_are_offered() -> None:
    assert nearest("no 'x'. Did you mean 'a' or 'b'? There are: a, b, c.") == ("a", "b")
    assert nearest("no 'x'.") == ()
