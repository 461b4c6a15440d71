"""Which stream a source names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from headrace.connectors.kafka_library import kafka_library
from headrace.connectors.streams import Stream
from headrace.connectors.tailed import TailedFiles
from headrace.definitions.locations import Debezium, Files, Kafka
from headrace.definitions.sources import Source
from headrace.errors import SettingsError, StreamError

if TYPE_CHECKING:
    from headrace.connectors.kafka_records import Decode

_NO_OPTIONS: Final[Mapping[str, str]] = MappingProxyType({})


def open_stream(
    source: Source, root: Path, kafka: str = "", options: Mapping[str, str] = _NO_OPTIONS, schema_registry: str = ""
) -> Stream:
    """Open the stream of a source. Nothing is read or connected yet.

    Parameters
    ----------
    source : Source
        What has the stream.
    root : Path
        The project's folder, to which a pattern of files is relative.
    kafka : str
        The brokers that topics are read from: ``host:9092,…``; empty for none.
    options : mapping of str to str
        librdkafka's, such as ``security.protocol``.
    schema_registry : str
        The URL of a registry, for topics of Avro or Protobuf; empty for none.

    Raises
    ------
    SettingsError
        If a topic is to be read and no brokers are known, or no registry where it needs one; or an option can't be
        set.
    StreamError
        If the source has no stream, or the library that it needs is not installed.
    """
    location = source.stream
    if location is None:
        raise StreamError(f"{source.where} has no stream. Give it one, such as stream=hr.Kafka('{source.name}').")
    if isinstance(location, Files):
        return TailedFiles(root, location)
    if not kafka:
        raise SettingsError(
            f"{source.where} is read from the topic '{location.topic}', but it is not said where Kafka is: set "
            'kafka = "host:9092" in headrace.toml, or HEADRACE_KAFKA.'
        )
    with kafka_library(source):
        from headrace.connectors.kafka import KafkaStream
    return KafkaStream(kafka, location.topic, options, decode=_decoder(source, location, schema_registry))


def _decoder(source: Source, location: Kafka | Debezium, schema_registry: str) -> Decode | None:
    if isinstance(location, Debezium) or location.format == "json":
        return None
    if not schema_registry:
        raise SettingsError(
            f"{source.where}: the topic '{location.topic}' is {location.format}, but it is not said where its schemas "
            'are: set schema_registry = "http://host:8081" in headrace.toml, or HEADRACE_SCHEMA_REGISTRY.'
        )
    from headrace.connectors.registry_formats import RegistryDecoder
    from headrace.connectors.registry_schemas import SchemaRegistry

    return RegistryDecoder(location.format, SchemaRegistry(schema_registry))
