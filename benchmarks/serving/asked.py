"""The requests of the benchmark, and reading answers back to compare them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    import polars as pl

KEY, VIEW = "user_id", "user_now"
FEATURES = tuple(f"f{i}" for i in range(8))
_opener = build_opener(ProxyHandler({}))


def body(users: Sequence[int], references: Sequence[str]) -> str:
    """A request as Feast's clients send it."""
    return json.dumps({"features": list(references), "entities": {KEY: list(users)}}, separators=(",", ":"))


def write_bodies(path: Path, requests: Sequence[Sequence[int]], references: Sequence[str]) -> None:
    """Requests, one a line."""
    path.write_text("".join(f"{body(users, references)}\n" for users in requests))


def post(url: str, text: str) -> bytes:
    """The answer to one request."""
    request = Request(f"{url}/get-online-features", text.encode(), {"Content-Type": "application/json"})  # noqa: S310
    with _opener.open(request, timeout=30) as response:
        found: bytes = response.read()
    return found


def read_back(url: str, users: Sequence[int], references: Sequence[str], at_once: int = 10) -> pl.DataFrame:
    """What a server answers for some users, ten at a time, the features in the order of their names."""
    import polars as pl

    parts = [_columns(post(url, body(users[i : i + at_once], references))) for i in range(0, len(users), at_once)]
    return pl.concat([pl.DataFrame(part) for part in parts]).select(KEY, *FEATURES)


def _columns(answer: bytes) -> dict[str, list[Any]]:
    said = json.loads(answer)
    names = said["metadata"]["feature_names"]
    return {name: result["values"] for name, result in zip(names, said["results"], strict=True)}
