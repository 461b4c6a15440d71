"""Kafka's library, which is an extra: what to tell where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from headrace.errors import StreamError

if TYPE_CHECKING:
    from headrace.definitions.sources import Source


@contextmanager
def kafka_library(source: Source) -> Iterator[None]:
    """Around an import of what needs the library.

    Raises
    ------
    StreamError
        If it is not installed: says how to have it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "confluent_kafka":
            raise
        raise StreamError(
            f"{source.where}: Kafka needs the library confluent-kafka, which is not installed: "
            "pip install 'headrace[kafka]'."
        ) from error
