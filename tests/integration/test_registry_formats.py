"""Messages of Avro and Protobuf whose schemas are in a registry: an HTTP server with the two paths that are used."""

from __future__ import annotations

import base64
import io
import json
import struct
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

import headrace as hr
from headrace.connectors.registry_formats import RegistryDecoder
from headrace.connectors.registry_schemas import SchemaRegistry
from headrace.connectors.stream_opening import open_stream
from headrace.errors import SettingsError, StreamError


class Registry:
    """Answers what it was told, to those who know the password."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[str] = []
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                found = registry.answers.get(self.path)
                allowed = self.headers.get("Authorization") == f"Basic {base64.b64encode(b'me:p/w').decode()}"
                body = json.dumps(found or {"error_code": 40403}).encode()
                self.send_response((200 if found else 404) if allowed else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://me:p%2Fw@127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def registry() -> Iterator[Registry]:
    registry = Registry()
    yield registry
    registry.stop()


def framed(number: int, content: bytes) -> bytes:
    return struct.pack(">bI", 0, number) + content


PLACE = {"type": "record", "name": "Place", "fields": [{"name": "lat", "type": "double"}]}
PING = {
    "type": "record", "name": "Ping",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "fare", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 2}},
        {"name": "note", "type": ["null", "string"]},
        {"name": "place", "type": "Place"},
    ],
}  # fmt: skip
REFERENCES = [{"name": "Place", "subject": "place/1", "version": 3}]
ROW = {
    "id": 2**53 + 1, "at": datetime(2026, 1, 5, 10, 0, 0, 1, tzinfo=UTC), "day": date(2026, 1, 5),
    "fare": Decimal("123456789012345678.90"), "note": None, "place": {"lat": 0.5},
}  # fmt: skip
AS_JSON = (
    '{"id":9007199254740993,"at":"2026-01-05T10:00:00.000001Z","day":"2026-01-05","fare":123456789012345678.90,'
    '"note":null,"place":{"lat":0.5}}'
)


@pytest.fixture
def ping(registry: Registry) -> bytes:
    """Return a message of Avro whose schema, number 7, refers to another one."""
    fastavro = pytest.importorskip("fastavro")
    registry.answers["/schemas/ids/7"] = {"schema": json.dumps(PING), "references": REFERENCES}
    registry.answers["/subjects/place%2F1/versions/3"] = {"schema": json.dumps(PLACE)}
    registry.answers["/schemas/ids/8"] = {"schema": "syntax", "schemaType": "PROTOBUF"}
    stream = io.BytesIO()
    named: dict[str, Any] = {}
    fastavro.parse_schema(PLACE, named_schemas=named)
    fastavro.schemaless_writer(stream, fastavro.parse_schema(PING, named_schemas=named), ROW)
    return framed(7, stream.getvalue())


def test_avro_becomes_json(registry: Registry, ping: bytes) -> None:
    decode = RegistryDecoder("avro", SchemaRegistry(registry.url))
    assert decode([ping, None, ping]) == [AS_JSON.encode(), None, AS_JSON.encode()]
    decode([ping])
    assert registry.asked == ["/schemas/ids/7", "/subjects/place%2F1/versions/3"]


def test_what_is_no_avro_is_passed_on(registry: Registry, ping: bytes) -> None:
    decode = RegistryDecoder("avro", SchemaRegistry(registry.url))
    broken = [b"", b"\x00", ping[:-3], ping + b"!", b"\x01" + ping[1:], framed(9, b"?"), framed(9, b"?")]
    assert decode(broken) == broken
    assert registry.asked.count("/schemas/ids/9") == 1
    registry.answers["/schemas/ids/9"] = {"schema": '"string"'}
    assert decode([framed(9, b"\x02a")]) == [b'"a"']


def test_a_schema_of_another_kind_is_told(registry: Registry, ping: bytes) -> None:
    decode = RegistryDecoder("avro", SchemaRegistry(registry.url))
    with pytest.raises(StreamError, match="schema 8 is of PROTOBUF, but the source says format='avro'"):
        decode([ping, framed(8, b"")])


def test_a_registry_that_does_not_answer_is_told_without_its_password(registry: Registry, ping: bytes) -> None:
    with pytest.raises(StreamError, match="401"):
        RegistryDecoder("avro", SchemaRegistry(registry.url.replace("me:", "you:")))([ping])
    away = SchemaRegistry("http://me:secret@127.0.0.1:1", reach_seconds=0.3)
    with pytest.raises(StreamError, match=r"Schema registry http://127\.0\.0\.1:1 does not tell") as caught:
        RegistryDecoder("avro", away)([ping])
    assert "secret" not in str(caught.value)


def test_protobuf_becomes_json(registry: Registry) -> None:
    descriptors = pytest.importorskip("google.protobuf.descriptor_pb2")
    pytest.importorskip("google.protobuf.timestamp_pb2")
    kinds = descriptors.FieldDescriptorProto
    place = descriptors.FileDescriptorProto(name="place.proto", package="geo", syntax="proto3")
    place.message_type.add(name="Place").field.add(name="lat", number=1, type=kinds.TYPE_DOUBLE, label=1)
    ping = descriptors.FileDescriptorProto(name="ping.proto", package="gps", syntax="proto3")
    ping.dependency.extend(["geo/place.proto", "google/protobuf/timestamp.proto"])
    ping.message_type.add(name="Other")
    outer = ping.message_type.add(name="Outer")
    message = outer.nested_type.add(name="Ping")
    message.field.add(name="id", number=1, type=kinds.TYPE_INT64, label=1)
    message.field.add(name="tags", number=2, type=kinds.TYPE_STRING, label=3)
    message.field.add(name="place", number=3, type=kinds.TYPE_MESSAGE, type_name=".geo.Place", label=1)
    message.field.add(name="at", number=4, type=kinds.TYPE_MESSAGE, type_name=".google.protobuf.Timestamp", label=1)
    references = [{"name": "geo/place.proto", "subject": "place", "version": 1}]
    registry.answers["/schemas/ids/5?format=serialized"] = {
        "schema": base64.b64encode(ping.SerializeToString()).decode(), "schemaType": "PROTOBUF",
        "references": references,
    }  # fmt: skip
    registry.answers["/subjects/place/versions/1?format=serialized"] = {
        "schema": base64.b64encode(place.SerializeToString()).decode(), "schemaType": "PROTOBUF"
    }  # fmt: skip
    decode = RegistryDecoder("protobuf", SchemaRegistry(registry.url))
    path = b"\x04\x02\x00"  # two places, the second message and in it the first one
    number = b"\x08\x81\x80\x80\x80\x80\x80\x80\x10"  # 2**53 + 1
    content = path + number + b"\x12\x01a\x12\x01b" + b"\x22\x04\x08\x01\x10\x05"
    found, broken, empty = decode([framed(5, content), framed(5, content[:-1]), framed(5, path)])
    assert msgspec.json.decode(found or b"") == {
        "id": 2**53 + 1, "tags": ["a", "b"], "place": None, "at": "1970-01-01T00:00:01.000000005Z",
    }  # fmt: skip
    assert broken == framed(5, content[:-1])
    assert msgspec.json.decode(empty or b"") == {"id": 0, "tags": [], "place": None, "at": None}
    assert decode([framed(5, b"\x00")]) == [b"{}"]  # the first message, which has no fields


def test_a_topic_of_avro_needs_a_registry(tmp_path: Path) -> None:
    source = hr.EventSource("gps", schema={"ts": hr.Timestamp}, event_time="ts", stream=hr.Kafka("gps", format="avro"))
    with pytest.raises(SettingsError, match="HEADRACE_SCHEMA_REGISTRY"):
        open_stream(source, tmp_path, "host:9092")
    with pytest.raises(SettingsError, match="that is no address"):
        open_stream(source, tmp_path, "host:9092", schema_registry="host:8081")


@pytest.mark.kafka
def test_a_topic_of_avro_is_read_as_json(kafka_bootstrap: str, registry: Registry, ping: bytes, tmp_path: Path) -> None:
    from tests.contract.streams import KafkaLog

    log = KafkaLog(kafka_bootstrap)
    log.write(0, ping, None, b"poison")
    source = hr.EventSource(
        "gps", schema={"at": hr.Timestamp}, event_time="at", stream=hr.Kafka(log.topic, format="avro")
    )
    stream = open_stream(source, tmp_path, kafka_bootstrap, schema_registry=registry.url)
    assert stream.read({log.name(0): (0, 3)}).frame["_hr_raw"].to_list() == [AS_JSON, "poison"]
    stream.close()
