"""Kafka's jars: where they are, and what is said if they can't be had."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from data_platform.stack import maven
from data_platform.stack.errors import StackError

JAR = "kafka_2.13-4.3.1.jar"


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a program in Maven's place that does what a line of the shell says; returns what counts its runs."""
    folder, runs = tmp_path / "bin", tmp_path / "runs"

    def put(line: str) -> Path:
        folder.mkdir()
        (folder / "mvn").write_text(
            f'#!/bin/sh\necho x >> "{runs}"\nfor last; do :; done\nlib="${{last#*=}}"\n{line}\n'
        )
        (folder / "mvn").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
        return runs

    return put


def test_the_jars_are_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(maven.HOME_VARIABLE, raising=False)
    assert maven.kafka_home(tmp_path) == tmp_path / "kafka-4.3.1"
    monkeypatch.setenv(maven.HOME_VARIABLE, str(tmp_path / "elsewhere"))
    assert maven.kafka_home(tmp_path) == tmp_path / "elsewhere"


@pytest.mark.parametrize("name", ["lib", "libs"])
def test_jars_that_are_there_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PATH", "")
    (tmp_path / name).mkdir()
    (tmp_path / name / JAR).touch()
    assert maven.fetch(tmp_path) == tmp_path
    assert maven.jars_of(tmp_path) == tmp_path / name


def test_several_fetch_once(tmp_path: Path, program: Callable[[str], Path]) -> None:
    runs = program(f'sleep 0.2; mkdir "$lib"; touch "$lib/{JAR}"')
    home = tmp_path / "kafka"
    (tmp_path / "kafka.partial" / "lib").mkdir(parents=True)  # an earlier run was killed
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(maven.fetch, [home] * 4)) == {home}
    assert maven.has_jars(home)
    assert runs.read_text() == "x\n"
    assert not (tmp_path / "kafka.partial").exists()


def test_what_maven_says_is_told_and_nothing_is_left(tmp_path: Path, program: Callable[[str], Path]) -> None:
    program("echo '[ERROR] no network'; exit 1")
    with pytest.raises(StackError, match=r"can't fetch Kafka 4.3.1 \(exit code 1\)[^~]*no network"):
        maven.fetch(tmp_path / "kafka")
    assert not maven.has_jars(tmp_path / "kafka")


def test_a_missing_maven_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StackError, match=r"Maven.* is not installed.*apt-get install maven.*HEADRACE_KAFKA_HOME"):
        maven.fetch(tmp_path / "kafka")
