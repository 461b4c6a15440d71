"""Which stream a source names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import headrace as hr
from headrace.connectors.stream_opening import open_stream
from headrace.connectors.tailed import TailedFiles
from headrace.definitions.locations import Location
from headrace.errors import SettingsError, StreamError


def source(stream: Location | None) -> hr.EventSource:
    return hr.EventSource("gps", schema={"ts": hr.Timestamp}, event_time="ts", stream=stream)


def test_files_are_tailed(tmp_path: Path) -> None:
    opened = open_stream(source(hr.Files("in/*.jsonl")), tmp_path)
    assert isinstance(opened, TailedFiles)
    assert opened.location == "files 'in/*.jsonl'"


@pytest.mark.parametrize("location", [hr.Kafka("gps"), hr.Debezium("gps")])
def test_a_topic_is_read_from_the_brokers(tmp_path: Path, location: Location) -> None:
    opened = open_stream(source(location), tmp_path, "one:9092,two:9092", {"client.id": "x"})
    assert opened.location == "topic 'gps' of Kafka at one:9092,two:9092"
    opened.close()


def test_a_topic_needs_brokers(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r'source \'gps\'.* set kafka = "host:9092" in headrace\.toml, or HEADRACE_'
    ):
        open_stream(source(hr.Kafka("gps")), tmp_path)


def test_a_source_needs_a_stream(tmp_path: Path) -> None:
    with pytest.raises(StreamError, match="source 'gps' has no stream"):
        open_stream(source(None), tmp_path)


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("headrace.connectors.kafka")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(StreamError, match=r"pip install 'headrace\[kafka\]'"):
        open_stream(source(hr.Kafka("gps")), tmp_path, "host:9092")
