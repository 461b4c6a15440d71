"""``headrace import-feast`` and ``headrace export-feast``, as a person runs them."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from headrace.cli.main import app
from headrace.platform import Platform
from tests.unit.platform.feast.repositories import ENTITIES, SETTINGS, repository

runner = CliRunner()
VIEW = """
from feast import FeatureView, Field, FileSource
from feast.types import Int64
from entities import driver

stats = FileSource(name="stats", path="data/{file}.parquet", timestamp_field="ts", created_timestamp_column="created")
view = FeatureView(name="now", entities=[driver], source=stats, schema=[Field(name="trips", dtype=Int64)])
"""


def run(*arguments: str) -> Result:
    return runner.invoke(app, arguments, terminal_width=200)


def test_there_and_back(tmp_path: Path) -> None:
    repo = repository(tmp_path / "repo", **{"entities.py": ENTITIES, "views.py": VIEW.format(file="stats")})
    there = run("import-feast", str(repo), "--to", str(tmp_path / "shop"))
    assert there.exit_code == 0, there.output
    assert f"Wrote {tmp_path / 'shop'}; the same report is in feast-import.md." in there.stdout
    assert "From Feast: shop" in there.stdout
    back = run("export-feast", "--project", str(tmp_path / "shop"), "--to", str(tmp_path / "back"))
    assert back.exit_code == 0, back.output
    assert (tmp_path / "back" / "features.py").exists()
    assert 'type: "redis"' in (tmp_path / "back" / "feature_store.yaml").read_text()
    again = run("export-feast", "--project", str(tmp_path / "shop"), "--to", str(tmp_path / "back"))
    assert again.exit_code == 1
    assert "already has" in again.stderr


def test_a_project_is_named_after_feast_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = repository(tmp_path / "repo", **{"a.py": "x = 1\n"})
    (repo / "feature_store.yaml").write_text(SETTINGS.replace("project: shop", "project: My-Shop"))
    monkeypatch.chdir(tmp_path)
    assert run("import-feast", str(repo)).exit_code == 0
    assert Platform.open(tmp_path / "my_shop").context.settings.name == "My-Shop"


def test_times_that_are_none_and_keys_of_two_types(tmp_path: Path) -> None:
    second = (
        VIEW.replace("stats =", "more =").replace('name="stats"', 'name="more"').replace("source=stats", "source=more")
    )
    third = second.replace("more", "third").replace('name="now"', 'name="third"').format(file="third")
    repo = repository(tmp_path / "repo", **{
        "entities.py": ENTITIES, "a.py": VIEW.format(file="stats"),
        "b.py": second.replace('name="now"', 'name="then"').format(file="more"), "c.py": third,
    })  # fmt: skip
    rows = pl.read_parquet(repo / "data" / "stats.parquet")
    rows.with_columns(pl.col("driver_id", "created").cast(pl.String)).write_parquet(repo / "data" / "more.parquet")
    rows.with_columns(pl.col("ts").cast(pl.String)).write_parquet(repo / "data" / "third.parquet")
    made = run("import-feast", str(repo), "--to", str(tmp_path / "shop"))
    assert made.exit_code == 0, made.output
    definitions = Platform.open(tmp_path / "shop").definitions
    assert {name: str(*entity.keys.values()) for name, entity in definitions.entities.items()} == {
        "driver": "Int64", "driver_string": "String",
    }  # fmt: skip
    page = (tmp_path / "shop" / "feast-import.md").read_text()
    assert "Its created_timestamp_column created holds no times." in page
    assert "Its timestamp_field ts holds no times in" in page
    assert set(definitions.views) == {"now", "then"}
