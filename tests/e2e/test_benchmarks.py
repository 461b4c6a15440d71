"""Each benchmark runs, compares its results, and says what it is meant to say."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from headrace.cli.bench import BENCHMARKS
from headrace.cli.main import app

KEYS = {
    "bench", "unit", "ours", "peers", "ratio", "goal", "met", "equal", "peak_rss_mb", "peers_rss_mb",
}  # fmt: skip
LONG = ("backfill", "ingest", "publish", "materialize", "get", "serve", "stream")
THOROUGH = pytest.mark.thorough


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param(name, marks=THOROUGH if name in LONG else ()) for name in BENCHMARKS])
def test_a_small_run_says_its_line(name: str) -> None:
    pytest.importorskip("duckdb")
    if name == "serve":
        skip_without_load_tool()
    done = CliRunner().invoke(app, ["bench", name, "--scale", "0.002", "--rounds", "1"])
    assert done.exit_code == 0, done.output
    (text,) = done.output.splitlines()
    line = json.loads(text)
    assert set(line) >= KEYS
    assert line["bench"] == name
    assert line["equal"] is True
    assert line["ours"] > 0
    assert line["peak_rss_mb"] > 0
    assert line["peers"] or "make bench-" in line["peers_missing"]


def skip_without_load_tool() -> None:
    from benchmarks.serving.load import MissingToolError, tool

    try:
        tool()
    except MissingToolError as error:
        pytest.skip(str(error))
