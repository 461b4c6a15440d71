"""An answer is of one version of a view, also from stores that do not read many keys from one state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode

import pytest

from headrace.errors import OnlineStoreError
from headrace.online.base import OnlineStore
from headrace.platform import Platform
from headrace.platform.online import OnlineReader
from headrace.types import DAY
from tests.integration.pings import FEATURES, NOW, START, project, put
from tests.store_servers import cluster_url, dynamodb_url

DRIVERS = list(range(40))
AT = START + 30 * DAY
MANY_STATES = ["cluster", pytest.param("dynamodb", marks=pytest.mark.thorough)]
LONG = [("lmdb", 3), ("redis", 3), ("cluster", 8), ("dynamodb", 8)]


@pytest.fixture
def platform(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    for url in _urls(request, tmp_path, monkeypatch):
        monkeypatch.setenv("HEADRACE_ONLINE", url)
        project(tmp_path / "project")
        (tmp_path / "project" / "features.py").write_text(FEATURES.replace('ttl="2h", ', ""))
        made = Platform.open(tmp_path / "project", clock=lambda: NOW)
        made.apply()
        yield made
        made.context.online.close()


def _urls(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    prefix = urlencode({"prefix": f"headrace-test-{tmp_path}:"})
    match request.param:
        case "lmdb":
            yield f"lmdb:{tmp_path / 'online'}"
        case "redis":
            yield f"{request.getfixturevalue('redis_url')}?{prefix}"
        case "cluster":
            yield f"{cluster_url(request)}?{prefix}"
        case _:
            yield from dynamodb_url(request, monkeypatch)


def publish(platform: Platform, version: int) -> None:
    """A version in which each driver's newest `n` is the version's number, and its rows are as many."""
    rows = [
        {"ping_id": f"{version}-{driver}", "driver_id": driver, "ts": START + version * DAY,
         "seen_at": START + version * DAY, "speed": 1.0, "n": version}
        for driver in DRIVERS
    ]  # fmt: skip
    put(platform, rows)
    platform.backfill("driver_now", end=START + version * DAY + DAY // 2)


def versions_in(rows: Sequence[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """What was answered: newest `n` and count of rows; one of them, if no two versions are mixed."""
    return {row[:2] for row in rows}


class Interrupted:
    """A store, with something happening before a read, and between the keys of a read."""

    def __init__(self, store: OnlineStore, *, before: Callable[[int], None], between: Callable[[], None]) -> None:
        self._store, self._before, self._between = store, before, between
        self.location, self.reads_one_state = store.location, store.reads_one_state
        self.reads = 0

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self.reads += 1
        self._before(self.reads)
        half = len(keys) // 2
        found = self._store.get_many(keys[:half])
        if half > 1:
            self._between()
        return [*found, *self._store.get_many(keys[half:])]


def interrupted(platform: Platform, **what: Any) -> tuple[OnlineReader, Interrupted]:
    reader = OnlineReader.of(platform.context, "model")
    assert versions_in(reader.read({"driver_id": DRIVERS}, AT).rows) == {(1, 1)}
    nothing = {"before": lambda _: None, "between": lambda: None}
    store = Interrupted(platform.context.online, **(nothing | what))
    reader._store = store  # type: ignore[assignment]
    return reader, store


@pytest.mark.parametrize("platform", MANY_STATES, indirect=True)
def test_a_publication_between_a_requests_reads_makes_it_look_again(platform: Platform) -> None:
    publish(platform, 1)
    pending = [4, 3, 2]

    def publish_twice() -> None:
        for _ in range(min(2, len(pending))):
            publish(platform, pending.pop())

    reader, store = interrupted(platform, between=publish_twice)
    assert versions_in(reader.read({"driver_id": DRIVERS}, AT).rows) == {(4, 4)}
    assert store.reads == 6, "records and heads, three times"
    assert versions_in(reader.read({"driver_id": DRIVERS}, AT).rows) == {(4, 4)}
    assert store.reads == 8, "records and heads"


@pytest.mark.parametrize("platform", MANY_STATES, indirect=True)
def test_without_the_second_look_versions_would_be_mixed(platform: Platform) -> None:
    publish(platform, 1)
    pending = [3, 2]

    def publish_all() -> None:
        while pending:
            publish(platform, pending.pop())

    reader, store = interrupted(platform, between=publish_all)
    store.reads_one_state = True  # which is not so
    assert len(versions_in(reader.read({"driver_id": DRIVERS}, AT).rows)) > 1


@pytest.mark.parametrize("platform", MANY_STATES, indirect=True)
def test_a_publication_before_the_heads_are_read_again_is_answered(platform: Platform) -> None:
    publish(platform, 1)
    reader, store = interrupted(platform, before=lambda read: publish(platform, 2) if read == 2 else None)
    answer = reader.read({"driver_id": DRIVERS}, AT)
    assert versions_in(answer.rows) == {(2, 2)}
    assert answer.heads["driver_now"].number == 2
    assert store.reads == 4


@pytest.mark.parametrize("platform", MANY_STATES, indirect=True)
def test_a_rollback_between_a_requests_reads_is_not_mixed_in(platform: Platform) -> None:
    publish(platform, 1)
    pending: list[Callable[[], object]] = [
        lambda: platform.rollback("driver_now", 1), lambda: publish(platform, 3), lambda: publish(platform, 2)
    ]  # fmt: skip
    reader, _ = interrupted(platform, between=lambda: [pending.pop()() for _ in range(len(pending))])
    assert versions_in(reader.read({"driver_id": DRIVERS}, AT).rows) == {(1, 1)}


@pytest.mark.thorough
@pytest.mark.parametrize("platform", MANY_STATES[:1], indirect=True)
def test_who_is_interrupted_each_time_is_told_to_ask_again(platform: Platform) -> None:
    publish(platform, 1)
    versions = iter(range(2, 99))
    reader, _ = interrupted(platform, between=lambda: publish(platform, next(versions)))
    with pytest.raises(OnlineStoreError, match="Ask again"):
        reader.read({"driver_id": DRIVERS}, AT)


@pytest.mark.parametrize(
    ("platform", "count"),
    [("cluster", 3), *(pytest.param(*each, marks=pytest.mark.thorough) for each in LONG)],
    indirect=["platform"],
)
def test_no_answer_mixes_versions_while_views_are_published_and_rolled_back(platform: Platform, count: int) -> None:
    publish(platform, 1)
    done, found, failures = Event(), set[tuple[Any, ...]](), list[object]()
    answers = 0

    def read() -> None:
        nonlocal answers
        reader = OnlineReader.of(platform.context, "model")
        while not done.is_set():
            try:
                own = versions_in(reader.read({"driver_id": DRIVERS}, AT).rows)
            except OnlineStoreError as error:
                failures.append(error)
                continue
            if len(own) != 1:
                failures.append(own)
            found.update(own)
            answers += 1

    readers = [Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for version in range(2, count + 2):
            publish(platform, version)
            if version % 3 == 0:
                platform.rollback("driver_now")
                time.sleep(0.05)
                platform.release("driver_now")
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not failures
    assert len(found) >= count
    assert answers > 50


def test_stores_say_whether_they_read_one_state(tmp_path: Path) -> None:
    from headrace.online.opening import open_store

    urls = ["lmdb:./o", "redis://h", "redis-cluster://h", "dynamodb://abc"]
    assert [open_store(url, tmp_path).reads_one_state for url in urls] == [True, True, False, False]


def test_of_a_streamed_view_records_are_answered_though_its_head_moves(tmp_path: Path) -> None:
    """It tells with each epoch how far it has come; the layers that readers see are the same."""
    from dataclasses import replace

    from headrace.platform.online_heads import head_key, namespace_key, read_head

    project(tmp_path / "project")
    platform = Platform.open(tmp_path / "project", clock=lambda: NOW)
    publish(platform, 1)
    store = platform.context.online
    head = read_head(store, "driver_now")
    assert head is not None

    def move(read: int) -> None:
        moved = replace(head, stream="pings", frontier=head.frontier + read, written_at=head.written_at + read)
        items: Iterable[tuple[bytes, bytes]] = [(key, moved.pack()) for key in (head_key(head.view),)]
        store.put_many([*items, (namespace_key(head.fingerprint), moved.pack())])

    move(0)
    reader = OnlineReader.of(platform.context, "model")
    reader.read({"driver_id": DRIVERS}, AT)
    slow = Interrupted(store, before=move, between=lambda: None)
    slow.reads_one_state = False
    reader._store = slow  # type: ignore[assignment]
    answer = reader.read({"driver_id": DRIVERS}, START + DAY * 5 // 4)
    assert slow.reads == 3, "heads, records, heads"
    assert answer.heads["driver_now"].frontier == head.frontier + 1, "what was known before the records were read"
