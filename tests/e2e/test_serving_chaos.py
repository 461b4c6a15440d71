"""A server whose store and workers are killed, while versions come and go, answers right or says that it can't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.serving_chaos.asking import Asked
from tests.serving_chaos.chaos import chaos
from tests.serving_chaos.city import UNKNOWN, judged, values
from tests.serving_chaos.tally import Outage, Tally, judge

USERS = [3, UNKNOWN, 5]
SHORT = 38282
"""A seed by which Redis and a worker are killed at once, and Redis soon comes back."""


@pytest.mark.slow
@pytest.mark.thorough
def test_two_minutes(tmp_path: Path, redis_server: str) -> None:
    tally = chaos(tmp_path, seconds=120, seed=11)
    print(tally)
    assert tally.is_clean(), tally
    assert tally.requests > 10_000
    assert tally.right > tally.requests / 2
    assert tally.versions > 10
    assert tally.errors, "nothing was ever away"


@pytest.mark.slow
def test_some_seconds(tmp_path: Path, redis_server: str) -> None:
    tally = chaos(tmp_path, seconds=0.1, seed=SHORT)
    assert tally.is_clean(), tally
    assert tally.right > 200


def _answer(wave: Callable[[str, str, int], int]) -> dict[str, Any]:
    """What a server says that has a wave of each feature of each view and user."""
    columns: dict[str, list[tuple[Any, str]]] = {"user_id": [(user, "PRESENT") for user in USERS]}
    for view, names in (("left", ("wave", "mark", "text")), ("right", ("mark", "wave"))):
        for name in names:
            columns[f"{view}__{name}"] = [
                (None, "NOT_FOUND") if user >= UNKNOWN else (values(wave(view, name, user), user)[name], "PRESENT")
                for user in USERS
            ]
    results = [{"values": [v for v, _ in pairs], "statuses": [s for _, s in pairs]} for pairs in columns.values()]
    return {"metadata": {"feature_names": list(columns)}, "results": results}


def test_one_version_of_each_view_is_right() -> None:
    assert judged(USERS, _answer(lambda view, name, user: 7 if view == "left" else 4)) == ({"left": 7, "right": 4}, "")


@pytest.mark.parametrize(
    "wave", [lambda view, name, user: user, lambda view, name, user: 8 if name == "mark" else 7], ids=["rows", "values"]
)
def test_two_versions_of_a_view_are_found(wave: Callable[[str, str, int], int]) -> None:
    assert judged(USERS, _answer(wave))[1].startswith("mixed: ")


def test_wrong_values_statuses_and_users_are_found() -> None:
    other = _answer(lambda view, name, user: 7)
    other["results"][3]["values"][0] = "wave 7 of user 4"
    present = _answer(lambda view, name, user: 7)
    present["results"][1]["statuses"][1] = "PRESENT"
    missing = _answer(lambda view, name, user: 7)
    missing["results"][4]["statuses"][2] = "NOT_FOUND"
    for answer in (other, present, missing):
        assert judged(USERS, answer)[1].startswith("wrong: ")
    assert judged([3, UNKNOWN, 6], _answer(lambda view, name, user: 7))[1].startswith("wrong: ")


def _asked(sent: float, took: float, status: int = 200, wave: int = 1) -> Asked:
    error = "" if status == 200 else f"{status} Error"
    return Asked(sent, sent + took, status, error, "", {} if error else {"left": wave, "right": 1})


def _judged(*asked: Asked) -> Tally:
    said: list[dict[str, Any]] = [
        {"at": at, "kind": kind, "view": view, "wave": wave}
        for at, kind, view, wave in (
            (0.0, "end", "left", 1), (0.0, "end", "right", 1), (50.0, "begin", "left", 2), (60.0, "end", "left", 2)
        )
    ]  # fmt: skip
    tally = Tally()
    judge(tally, [_asked(10, 0.001), *asked], [Outage("redis", 20.0, 30.0)], said)
    return tally


def test_versions_are_judged_by_when_they_were_served() -> None:
    right = [_asked(49, 2, wave=2), _asked(55, 0.1), _asked(55, 0.1, wave=2), _asked(61, 0.1, wave=2)]
    assert _judged(*right).is_clean()
    assert _judged(_asked(49, 0.5, wave=2)).outdated == 1
    assert _judged(_asked(60.5, 0.1)).outdated == 1


def test_errors_are_judged_by_the_outages() -> None:
    assert _judged(_asked(19.5, 0.6, 503), _asked(31.9, 0.1, 503)).is_clean()
    assert _judged(_asked(19.5, 0.4, 503)).violations == 1
    assert _judged(_asked(32.1, 0.1, 503)).violations == 1
    assert _judged(_asked(25, 0.1, 500)).violations == 1
    assert _judged(_asked(25, 3.5, 503)).late == 1
