"""An LMDB store in trouble: a clear error, nothing torn, and a store that works again afterwards."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from headrace.errors import OnlineStoreError
from headrace.online import lmdb_map
from headrace.online.base import stamp_of
from headrace.online.lmdb import LmdbStore
from tests.integration.disks import nearly_full, read_only, small_disk
from tests.online_stores import ROOT, items, numbered, start_writer, value

KEYS = numbered(30_000)
READ = """
import sys
from pathlib import Path
from headrace.errors import OnlineStoreError
from headrace.online.lmdb import LmdbStore
store = LmdbStore(Path(sys.argv[1]), readonly=True)
try:
    print(sum(1 for _ in store.scan(b"")))
except OnlineStoreError as error:
    print(error)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "online"


@pytest.fixture
def store(folder: Path) -> Iterator[LmdbStore]:
    store = LmdbStore(folder)
    yield store
    store.close()


def read_elsewhere(folder: Path) -> str:
    """What a process of its own says that finds in a store: a number, or an error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done
    return done.stdout.strip()


def test_a_full_disk_is_told_and_what_was_there_stays(folder: Path) -> None:
    with small_disk(folder, "12m"):
        store = LmdbStore(folder)
        store.put_many(items(KEYS[:1000], 1))
        with nearly_full(folder, 200_000), pytest.raises(OnlineStoreError, match=r"the disk is full\. Make room"):
            store.put_many(items(KEYS, 2))
        assert dict(store.scan(b"")) == dict(items(KEYS[:1000], 1))
        assert store.put_many(items(KEYS, 2)) == 0
        assert dict(store.scan(b"")) == dict(items(KEYS, 2))
        store.close()


def test_a_read_only_disk_is_told_and_still_read(folder: Path) -> None:
    with small_disk(folder, "8m"):
        store = LmdbStore(folder)
        store.put_many(items(KEYS[:10], 1))
        store.close()
        with read_only(folder):
            store = LmdbStore(folder)
            assert dict(store.scan(b"")) == dict(items(KEYS[:10], 1))
            with pytest.raises(OnlineStoreError, match="the file system is read-only"):
                store.put_many(items(KEYS[:10], 2))
        assert store.put_many(items(KEYS[:10], 2)) == 0
        store.close()


def test_a_read_only_disk_without_a_store_is_empty(folder: Path) -> None:
    with small_disk(folder, "1m"), read_only(folder):
        store = LmdbStore(folder / "online")
        assert store.get_many([b"a"]) == [None]
        with pytest.raises(OnlineStoreError, match="the file system is read-only"):
            store.put_many(items([b"a"], 1))
        store.close()


def test_a_full_map_is_told_and_its_transaction_leaves_nothing(folder: Path) -> None:
    store = LmdbStore(folder, map_size=1 << 20)
    store.put_many(items(KEYS[:1000], 1))
    with pytest.raises(OnlineStoreError, match=r"it is full\. Raise map_size"):
        store.put_many(items(KEYS, 2))
    assert dict(store.scan(b"")) == dict(items(KEYS[:1000], 1))
    store.close()
    larger = LmdbStore(folder, map_size=64 << 20)
    assert larger.put_many(items(KEYS, 2)) == 0
    larger.close()


def test_a_map_grows_and_who_has_it_open_follows(store: LmdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_map, "_FIRST_SIZE_BYTES", 1 << 20)
    store.put_many(items(KEYS[:100], 1))
    writer = start_writer(store.location, "once", 2, len(KEYS), 1)  # its map is large: this one's is too small now
    writer.communicate(b"go\n")
    assert writer.returncode == 0
    assert dict(store.scan(b"")) == dict(items(KEYS, 2))
    assert store.put_many(items([key + b"more" for key in KEYS], 3)) == 0  # grows here
    assert read_elsewhere(Path(store.location.removeprefix("lmdb:"))) == str(2 * len(KEYS))


def test_a_map_grows_under_threads_that_read(store: LmdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_map, "_FIRST_SIZE_BYTES", 1 << 16)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # else each key waits 5 ms for the threads that read without a pause
    store.put_many(items(KEYS[:10], 1))
    done, wrong = Event(), list[object]()

    def read() -> None:
        while not done.is_set():
            found = store.get_many(KEYS[:10])
            wrong.extend(each for each in found if each is None)

    threads = [Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    refused = store.put_many(items(KEYS, 2))
    done.set()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert (refused, wrong) == (0, [])
    assert dict(store.scan(b"")) == dict(items(KEYS, 2))


@pytest.mark.parametrize(("content", "told"), [(b"no such thing" * 5_000, "no LMDB file"), (b"short", "no LMDB file")])
def test_a_file_of_something_else_is_told(folder: Path, store: LmdbStore, content: bytes, told: str) -> None:
    folder.mkdir()
    (folder / "data.mdb").write_bytes(content)
    with pytest.raises(OnlineStoreError, match=told):
        store.get_many([b"a"])
    assert (folder / "data.mdb").read_bytes() == content


def test_a_file_in_the_folders_place_is_told(folder: Path, store: LmdbStore) -> None:
    folder.write_text("a file")
    with pytest.raises(OnlineStoreError, match="a part of the path is a file"):
        store.put_many(items([b"a"], 1))


def test_a_file_that_was_cut_off_is_told_and_kills_nobody(folder: Path, store: LmdbStore) -> None:
    store.put_many(items(KEYS, 1))
    store.close()
    file = folder / "data.mdb"
    os.truncate(file, file.stat().st_size // 2)
    assert "data.mdb is damaged" in read_elsewhere(folder)


@pytest.mark.parametrize("key", [b"", b"k" * 512])
def test_a_key_that_lmdb_does_not_keep_is_told(store: LmdbStore, key: bytes) -> None:
    assert store.put_many(items([b"k" * 511], 1)) == 0
    with pytest.raises(OnlineStoreError, match="a key is empty or has more than 511 bytes"):
        store.put_many([(b"good", value(b"good", 1)), (key, value(key, 1))])
    assert store.get_many([b"k" * 511, b"good"]) == [value(b"k" * 511, 1), None]


def test_a_map_that_the_address_space_has_no_room_for_is_told(folder: Path) -> None:
    store = LmdbStore(folder, map_size=1 << 50)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 45, hard))
    try:
        with pytest.raises(OnlineStoreError, match="the address space does not suffice"):
            store.put_many(items([b"a"], 1))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    store.close()


def test_stores_of_one_folder_share_a_map_and_close_it_once(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    first, second = LmdbStore(folder), LmdbStore(tmp_path / "link" / ".." / "link")
    first.put_many(items([b"a"], 1))
    assert second.get_many([b"a"]) == [value(b"a", 1)]
    first.close()
    first.close()
    assert second.get_many([b"a"]) == [value(b"a", 1)]
    with pytest.raises(OnlineStoreError, match="was closed"):
        first.get_many([b"a"])
    second.close()
    third = LmdbStore(folder)
    assert third.get_many([b"a"]) == [value(b"a", 1)]
    third.close()


def test_a_forked_child_opens_a_map_of_its_own(store: LmdbStore) -> None:
    store.put_many(items(KEYS[:100], 1))
    done, wrong = Event(), list[object]()

    def read() -> None:
        while not done.is_set():
            wrong.extend(each for each in store.get_many(KEYS[:100]) if each is None)

    thread = Thread(target=read)
    thread.start()
    children = []
    for epoch in range(2, 12):
        child = os.fork()
        if not child:
            code = 1
            try:
                store.put_many(items(KEYS[:100], epoch))
                code = 0 if None not in store.get_many(KEYS[:100]) else 2
            finally:
                os._exit(code)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    done.set()
    thread.join()
    assert (codes, wrong) == ([0] * 10, [])
    assert dict(store.scan(b"")) == dict(items(KEYS[:100], 11))


HOLD = """
import sys, time
import lmdb
environment = lmdb.open(sys.argv[1], map_size=1 << 30)
with environment.begin() as transaction:
    print("reading", flush=True)
    time.sleep(600)
"""


def test_the_pages_of_a_reader_that_was_killed_are_used_again(folder: Path, store: LmdbStore) -> None:
    store.put_many(items(KEYS, 1))
    reader = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE)
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"reading\n"
    reader.kill()
    reader.wait()
    reader.stdout.close()
    for epoch in range(2, 6):
        store.put_many(items(KEYS, epoch))
    settled = (folder / "data.mdb").stat().st_size
    for epoch in range(6, 12):
        store.put_many(items(KEYS, epoch))
    assert (folder / "data.mdb").stat().st_size == settled


def test_a_folder_that_is_replaced_is_noticed(folder: Path, store: LmdbStore, tmp_path: Path) -> None:
    store.put_many(items([b"a"], 5))
    other = LmdbStore(tmp_path / "other")
    other.put_many(items([b"a"], 4))
    other.close()
    folder.rename(tmp_path / "old")
    (tmp_path / "other").rename(folder)
    deadline = time.monotonic() + 10
    while stamp_of(store.get_many([b"a"])[0] or b"").epoch == 5 and time.monotonic() < deadline:
        pass
    assert store.get_many([b"a"]) == [value(b"a", 4)]


def test_a_folder_that_was_removed_is_made_again_by_the_next_write(
    folder: Path, store: LmdbStore, tmp_path: Path
) -> None:
    store.put_many(items([b"a"], 5))
    folder.rename(tmp_path / "old")
    assert store.put_many(items([b"b"], 1)) == 0
    assert store.get_many([b"a", b"b"]) == [None, value(b"b", 1)]


def test_a_missing_permission_is_told(folder: Path, store: LmdbStore) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    folder.parent.chmod(0o755)
    store.put_many(items([b"a"], 1))
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setuid(65534)
            store.get_many([b"a"])
        except OnlineStoreError as error:
            told = "permission denied" in str(error)
            code = 0 if told and getattr(error.__cause__, "errno", errno.EACCES) == errno.EACCES else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
