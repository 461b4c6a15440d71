"""Values found run by run are those that a reader of every step would find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.lake.delta import DeltaLake
from headrace.platform import lookup
from headrace.platform.lookup import Question, steps_at, steps_in_force

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
KEYS: dict[str, list[dict[str, Any]]] = {
    "none": [{}],
    "close numbers": [{"k": k} for k in (3, 4, 5, 9)],
    "numbers far apart": [{"k": k} for k in (-(2**62), -1, 5, 2**62)],
    "text": [{"k": k} for k in ("a", "b", "bb", "")],
    "two": [{"k": 1, "l": "x"}, {"k": 1, "l": "y"}, {"k": 2, "l": "x"}, {"k": 2, "l": ""}],
}
COLUMNS = ["number", "name", "seen"]


@st.composite
def files(draw: Any, keys: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Steps in files, in any order within and among them; no two of one key and time."""
    spots = draw(st.lists(st.tuples(st.sampled_from(keys), st.integers(0, 40)), max_size=40, unique_by=str))
    steps = [
        {**key, "valid_from": time, "number": draw(st.sampled_from([None, 1.5, 2.5])), "seen": EPOCH,
         "name": draw(st.sampled_from([None, "p", "q"]))}
        for key, time in spots
    ]  # fmt: skip
    cuts = sorted(draw(st.lists(st.integers(0, len(steps)), max_size=4)))
    by_time = sorted(steps, key=lambda step: step["valid_from"]) if draw(st.booleans()) else steps
    return [by_time[a:b] for a, b in zip([0, *cuts], [*cuts, len(steps)], strict=True) if a < b]


def frame(steps: list[dict[str, Any]], keys: list[dict[str, Any]], ordered: bool) -> pl.DataFrame:
    names = list(keys[0])
    types = {name: pl.String if isinstance(keys[0][name], str) else pl.Int64 for name in names}
    schema = {
        **types,
        "valid_from": pl.Int64,
        "number": pl.Float64,
        "name": pl.String,
        "seen": pl.Datetime("us", "UTC"),
    }
    found = pl.DataFrame(steps, schema=schema).with_columns(pl.col("valid_from").cast(pl.Datetime("us", "UTC")))
    return found.sort([*names, "valid_from"]) if ordered else found


def wanted(steps: list[dict[str, Any]], key: dict[str, Any], time: int) -> dict[str, Any] | None:
    mine = [s for s in steps if all(s[name] == value for name, value in key.items()) and s["valid_from"] <= time]
    return max(mine, key=lambda step: step["valid_from"], default=None)


@pytest.mark.parametrize("kind", KEYS)
@given(data=st.data())
def test_each_question_gets_the_step_in_force(kind: str, data: st.DataObject) -> None:
    keys = KEYS[kind]
    parts = data.draw(files(keys), label="files")
    unknown = [dict.fromkeys(keys[0])] if keys[0] else []
    asked = data.draw(st.lists(st.tuples(st.sampled_from([*keys, *unknown]), st.integers(-1, 42)), max_size=20))
    question = Question(
        frame([{**key, "valid_from": 0} for key, _ in asked], keys, ordered=False).select(list(keys[0])),
        np.array([time for _, time in asked], dtype=np.int64),
    )
    found, there = answered(parts, keys, question, ordered=data.draw(st.booleans()), small=data.draw(st.booleans()))
    every = [step for part in parts for step in part]
    for row, known, (key, time) in zip(found.iter_rows(named=True), there.tolist(), asked, strict=True):
        step = wanted(every, key, time)
        assert known == (step is not None)
        assert row == {name: None if step is None else step[name] for name in COLUMNS}


def answered(
    parts: list[list[dict[str, Any]]], keys: list[dict[str, Any]], question: Question, ordered: bool, small: bool
) -> tuple[pl.DataFrame, np.ndarray]:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(lookup, "ROWS_AT_MOST", 3)
            patch.setattr(lookup, "_FEW", 0)
        table = DeltaLake(Path(folder)).table("gold")
        frames = [frame(part, keys, ordered) for part in parts] or [frame([], keys, ordered)]
        staged = [table.stage(part, {}) for part in frames]
        table.commit(staged, schema=frames[0].schema, mode="append", partition_by=[], metadata={})
        return steps_in_force(table, table.version(), question, COLUMNS)


def test_steps_in_memory_are_searched_the_same_way() -> None:
    steps = frame(
        [{"k": 3, "valid_from": t, "number": float(t), "name": None, "seen": EPOCH + timedelta(1)} for t in (9, 5)],
        KEYS["close numbers"],
        ordered=False,
    )
    found, there = steps_at(steps, Question(pl.DataFrame({"k": [3, 3, 4]}), np.array([8, 4, 99])), ["number"])
    assert found["number"].to_list() == [5.0, None, None]
    assert there.tolist() == [True, False, False]
