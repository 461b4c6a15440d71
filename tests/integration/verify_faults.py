"""Faults that a verification has to name, each made in a project of `tests.integration.verifying`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from headrace.errors import OnlineStoreError
from headrace.online.base import expires_at
from headrace.platform import Platform
from headrace.platform.online_heads import Head, read_head
from headrace.platform.online_loading import Load
from headrace.platform.registering import turn
from headrace.timeline.packed_record import FIRST_LAYER, STEPS
from headrace.types import DAY
from tests.integration.verifying import START, Clock, gold_of, pings, put

VIEW = "driver_now"
AFTERWARDS = Clock(START + 41 * DAY)


def ingest_late_rows(platform: Platform) -> None:
    """Rows of the second day come when it has been computed."""
    put(platform, "pings", pings(seed=99, day=1, n=40))


def put_back_the_store(platform: Platform, number: int = 2) -> None:
    """Somebody empties the store and loads an older publication into it."""
    context = platform.context
    context.online.delete_many([key for key, _ in context.online.scan(b"")])
    gold = gold_of(platform)
    (older,) = [p for p in context.registry.publications(VIEW) if p.number == number]
    with turn(context, gold) as mine:
        load = Load(context, gold.published_as(older), older, mine.lease)
        load.write(whole=True)
        load.show(number)


def publish_without_the_store(platform: Platform) -> None:
    """Another day is published while the store can't be written."""
    root = platform.context.root
    put(platform, "pings", pings(seed=4, day=4))
    (root / "broken").write_text("no folder")
    with _environment("HEADRACE_ONLINE", "lmdb:./broken"):
        cut_off = Platform.open(root, clock=Clock(START + 5 * DAY))
    try:
        cut_off.backfill(VIEW, end=START + 5 * DAY)
    except OnlineStoreError:
        return
    raise AssertionError("the store was written")


def let_records_expire(platform: Platform) -> None:
    """The store forgets what expired in a month in which nothing happened."""
    prefix = b"r" + gold_of(platform, "recent").fingerprint.encode()
    if not platform.context.online.sweep(prefix, AFTERWARDS.now):
        raise AssertionError("nothing has expired")


def change_the_ttl(platform: Platform) -> None:
    """The view's ttl is another one, and has not been applied."""
    features = platform.context.root / "features.py"
    features.write_text(features.read_text().replace('ttl="2h"', 'ttl="3h"'))


def tamper_with_gold(platform: Platform) -> None:
    """Each `n` of the newest file becomes another."""
    rewrite_gold(platform, pl.col("n") + 1)


def rewrite_gold(platform: Platform, change: pl.Expr) -> None:
    """Change a column of the newest file, and let the log fit the file."""
    gold = gold_of(platform)
    file = max(gold.files(), key=lambda each: each.minimum["valid_from"])
    path = Path(gold.table.location) / file.path
    pl.read_parquet(path).with_columns(change).write_parquet(path)
    for entry in (Path(gold.table.location) / "_delta_log").glob("*.json"):
        text = entry.read_text()
        if path.name in text:
            entry.write_text(text.replace(f'"size":{file.size_bytes},', f'"size":{path.stat().st_size},'))


def tamper_with_records(platform: Platform) -> None:
    """Each `rows` in the store becomes another."""
    store = platform.context.online
    head = read_head(store, VIEW)
    assert head is not None
    for key, record in list(store.scan(b"r" + head.fingerprint.encode())):
        store.put_many([(key, _tampered(head, record))])


def damage_records(platform: Platform) -> None:
    """Each record loses its end."""
    store = platform.context.online
    for key, record in list(store.scan(b"r" + gold_of(platform).fingerprint.encode())):
        store.put_many([(key, record[:-3])])


def lose_records(platform: Platform) -> None:
    """The store loses what it should still have."""
    store = platform.context.online
    store.delete_many([key for key, _ in store.scan(b"r" + gold_of(platform).fingerprint.encode())])


def _tampered(head: Head, record: bytes) -> bytes:
    names = [each.name for each in head.layout.fields]
    place = names.index("rows")
    steps = [
        step._replace(values=tuple(v + 1 if i == place else v for i, v in enumerate(step.values)))
        for step in head.layout.reader().steps(record, head.stamp)
    ]
    body = head.layout.codec.pack(steps, cut_off=True)
    return FIRST_LAYER.pack(*head.stamp, expires_at(record), 1, *head.stamp, STEPS, len(body)) + body


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong.

    Parameters
    ----------
    make : callable
        Does it to a project.
    cause : str
        What a verification has to call it.
    view : str
        The view that differs then.
    clock : Clock
        When it is verified.
    """

    make: Callable[[Platform], None]
    cause: str
    view: str = VIEW
    clock: Clock = field(default_factory=Clock)


FAULTS = (
    Fault(ingest_late_rows, "late row"),
    Fault(put_back_the_store, "version"),
    Fault(let_records_expire, "ttl", "recent", AFTERWARDS),
    Fault(change_the_ttl, "ttl"),
    Fault(publish_without_the_store, "not yet materialized", clock=AFTERWARDS),
    Fault(tamper_with_gold, "unexplained"),
    Fault(tamper_with_records, "unexplained"),
    Fault(damage_records, "unexplained"),
    Fault(lose_records, "unexplained"),
)
