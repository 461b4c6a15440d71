"""`headrace serve` as a process of its own, asked over HTTP as any client asks it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import polars as pl

from data_platform.demo.training_sets import SERVICE
from headrace import Platform
from headrace.errors import HeadraceError

_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers.

    Parameters
    ----------
    url : str
        Where.
    """

    url: str

    def ask(self, drivers: pl.DataFrame, at: datetime) -> pl.DataFrame:
        """The features of drivers in cities at a time; null where there is no value."""
        entities = drivers.to_dict(as_series=False)
        request = {"feature_service": SERVICE, "entities": entities, "full_feature_names": True, "at": at.isoformat()}
        answer: dict[str, Any] = json.loads(self._read("/get-online-features", json.dumps(request).encode()))
        columns = [column["values"] for column in answer["results"]]
        return pl.DataFrame(dict(zip(answer["metadata"]["feature_names"], columns, strict=True)))

    def version(self, view: str) -> int:
        """Which version of a view it answers from, as it tells Prometheus."""
        text = self._read("/metrics").decode()
        found = re.search(rf'^headrace_view_version{{view="{view}"}} (\S+)$', text, re.MULTILINE)
        if found is None:
            raise HeadraceError(f"{self.url}/metrics tells no version of view '{view}'. Ask it whether it is /ready.")
        return int(float(found[1]))

    def _read(self, path: str, body: bytes | None = None) -> bytes:
        with urlopen(f"{self.url}{path}", body, timeout=_SECONDS) as response:  # noqa: S310 - our own server
            answer: bytes = response.read()
        return answer


@contextmanager
def serving(root: Path) -> Iterator[Server]:
    """Run the server on a project, at a port that is free."""
    command = [sys.executable, "-m", "headrace", "serve", "--port", "0", "--project", str(root)]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as process:  # noqa: S603 - ourselves
        try:
            assert process.stdout is not None
            announced = process.stdout.readline().split()
            if not announced:
                raise HeadraceError(f"`{' '.join(command)}` ended before it answered; it says why above.")
            yield Server(announced[-1])
        finally:
            process.terminate()


def read_offline(platform: Platform, drivers: pl.DataFrame, at: datetime) -> pl.DataFrame:
    """What a training set has for these drivers at that time."""
    labels = drivers.with_columns(label_time=pl.lit(at).dt.cast_time_unit("us"))
    joined: pl.DataFrame = platform.training_set(labels, SERVICE)
    return joined.drop("label_time")


def differing(one: pl.DataFrame, other: pl.DataFrame) -> int:
    """How many values of two answers to the same question are not the same, to the last bit."""
    return sum(int(one[name].ne_missing(other[name]).sum()) for name in one.columns)
