"""What the online store should answer, from the rows alone; and which store a test uses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from headrace.definitions.views import FeatureView
from headrace.online.opening import open_store
from headrace.online.record_keys import record_prefix
from headrace.platform import Platform
from headrace.platform.online_heads import read_head
from headrace.testing import steps, value_at
from headrace.timeline.packed import STATUSES
from headrace.timeline.packed_steps import Step

Rows = Sequence[Mapping[str, Any]]
STORES = ["lmdb", pytest.param("redis", marks=pytest.mark.redis)]


def store_url(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The URL of an empty store, emptied again in the end."""
    if request.param == "lmdb":
        yield f"lmdb:{folder / 'online'}"
        return
    url = f"{request.getfixturevalue('redis_url')}?prefix=headrace-test-{uuid.uuid4().hex}:"
    yield url
    store = open_store(url, folder)
    store.delete_many([key for key, _ in store.scan(b"")])
    store.close()


def known_before(rows: Rows, frontier: int) -> list[Mapping[str, Any]]:
    """The rows of pings that a view computed through `frontier` knows."""
    return [row for row in rows if max(row["ts"], row["seen_at"]) < frontier]


def expected(view: FeatureView, steps_of_view: pl.DataFrame, key: Mapping[str, Any], at: int) -> dict[str, Any]:
    """The value and the status of each feature, by the rule: the step with the greatest ``valid_from <= T``."""
    found = value_at(steps_of_view, key, at)
    if found is None:
        return dict.fromkeys(view.features, (None, "NOT_FOUND"))
    event_time = found.pop("event_time")
    age = None if event_time is None else at - _microseconds(event_time)
    is_old = age is not None and view.ttl_us is not None and age > view.ttl_us
    return {
        name: (None, "OUTSIDE_MAX_AGE") if is_old and view.features[name].ages
        else (value, "NULL_VALUE" if value is None else "PRESENT")
        for name, value in found.items()
    }  # fmt: skip


def answered(platform: Platform, service: str, keys: Sequence[Mapping[str, Any]], at: int) -> list[dict[str, Any]]:
    """What the store says, in the form of `expected`."""
    found = platform.online(service, list(keys), at=at)
    return [
        {n.split("__")[1]: (v, STATUSES[code]) for n, v, code in zip(found.names, row, codes, strict=True)}
        for row, codes in zip(found.rows, found.statuses, strict=True)
    ]


def assert_same(found: dict[str, Any], wanted: dict[str, Any], at: object) -> None:
    """Equal, floats to 1e-9."""
    assert {n: s for n, (_, s) in found.items()} == {n: s for n, (_, s) in wanted.items()}, at
    for name, (value, _) in wanted.items():
        assert found[name][0] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value), (name, at)


def steps_after(view: FeatureView, rows: Rows, frontier: int) -> pl.DataFrame:
    """All steps that follow from what is known at a frontier, those after it too."""
    return steps(view, known_before(rows, frontier))


def visible_steps(platform: Platform, view: str, cut: int) -> dict[bytes, list[Step]]:
    """For each record what readers see of it from `cut` on; records without a step are left out."""
    store = platform.context.online
    head = read_head(store, view)
    assert head is not None
    reader, found = head.layout.reader(), {}
    for key, value in store.scan(record_prefix(head.fingerprint)):
        held = reader.steps(value, head.stamp)
        first = max((i for i, step in enumerate(held) if step.valid_from <= cut), default=0)
        if held:
            found[key] = held[first:]
    return found


def assert_same_records(found: Mapping[bytes, list[Step]], wanted: Mapping[bytes, list[Step]]) -> None:
    """Equal, floats to 1e-9."""
    assert found.keys() == wanted.keys()
    for key, held in wanted.items():
        assert [(s.valid_from, s.event_time) for s in found[key]] == [(s.valid_from, s.event_time) for s in held]
        for mine, step in zip(found[key], held, strict=True):
            for value, other in zip(mine.values, step.values, strict=True):
                assert value == (pytest.approx(other, rel=1e-9) if isinstance(other, float) else other)


def _microseconds(time: Any) -> int:
    return int(pl.Series([time]).dt.epoch("us").item())
