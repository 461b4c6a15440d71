"""Processes that want to publish at once, one that is killed, one that is frozen, and a registry that fails."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from headrace.errors import ConflictError, LeaseLostError, RegistryError
from headrace.platform.leases import HeldLease, publishing
from headrace.registry.base import Lease, Registry
from headrace.registry.sql import SqlRegistry
from tests.contract.registries import LEASE, ROOT, VIEW, publication

FAR = 4_000_000_000_000_000
"""The year 2096: when a lease has surely run out."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'registry.db'}"


@pytest.fixture
def registry(url: str) -> Iterator[SqlRegistry]:
    with closing(SqlRegistry(url, busy_seconds=20)) as made:
        yield made


def started(url: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.integration.lease_child", url, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)


@contextmanager
def holder(url: str, length_seconds: float = 30) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lease, under token 1."""
    with started(url, "hold", str(length_seconds)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        try:
            yield process
        finally:
            process.kill()


def found(registry: Registry) -> Lease:
    """The lease as it is; "nobody" has it if it was free."""
    return registry.take_lease(LEASE, "nobody", at=0, until=0)


def test_a_lease_is_held_while_the_block_runs_and_free_behind_it(registry: SqlRegistry) -> None:
    with publishing(registry, VIEW) as lease:
        lease.check()
        assert found(registry) == lease.lease
        assert 29e6 < lease.lease.expires_at - time.time_ns() // 1_000 <= 30e6
    with publishing(registry, VIEW, wait_seconds=0) as again:
        assert again.token == 2
    assert found(registry).holder == "nobody"


def test_an_error_in_the_block_gives_the_lease_back_and_goes_on(registry: SqlRegistry) -> None:
    with pytest.raises(ZeroDivisionError), publishing(registry, VIEW):
        raise ZeroDivisionError
    assert found(registry).holder == "nobody"


def test_a_registry_that_fails_in_the_end_does_not_hide_why_the_block_ended(
    registry: SqlRegistry, tmp_path: Path
) -> None:
    def fail() -> None:
        registry.close()
        (tmp_path / "registry.db").write_bytes(b"not a database" * 100)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), publishing(registry, VIEW):
        fail()
    with pytest.raises(RegistryError, match="not a database"):
        registry.serving()


def test_two_processes_publish_one_after_the_other(url: str, registry: SqlRegistry, tmp_path: Path) -> None:
    turns = 5
    workers = [started(url, "queue", name, str(turns), str(tmp_path / "inside")) for name in ("a", "b")]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        with worker:
            assert worker.wait(60) == 0
    published = registry.publications(VIEW)
    assert [done.number for done in published] == [done.token for done in published] == list(range(1, 2 * turns + 1))


def test_threads_of_one_process_are_one_after_the_other_too(registry: SqlRegistry) -> None:
    inside = threading.Lock()

    def publish(run: str) -> int:
        with publishing(registry, VIEW) as lease:
            assert inside.acquire(blocking=False)
            number = registry.publish(publication(run, lease.token), serve=True).number
            inside.release()
            return number

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(publish, "abcdefgh")) == list(range(1, 9))


def test_who_waits_is_told_for_whom_and_gives_up_in_the_end(url: str, registry: SqlRegistry) -> None:
    said: list[str] = []
    with holder(url) as other:
        with (
            pytest.raises(ConflictError, match=rf"'publish-driver_now': process {other.pid} on .* for more than 0.1 s"),
            publishing(registry, VIEW, wait_seconds=0.1, report=said.append),
        ):
            pytest.fail("two hold it")
        assert found(registry).token == 1
    assert len(said) == 1
    assert f"process {other.pid} on " in said[0]


def test_a_holder_that_was_killed_is_not_waited_for(url: str, registry: SqlRegistry) -> None:
    with holder(url) as other:
        other.kill()
        other.wait()
        with publishing(registry, VIEW, wait_seconds=0) as lease:
            assert lease.token == 2


def test_a_killed_holder_whose_parent_has_not_noticed_is_not_waited_for(url: str, registry: SqlRegistry) -> None:
    with holder(url) as other:
        other.kill()
        while (Path("/proc") / str(other.pid)).exists() and "\nState:\tZ" not in _status(other.pid):
            pass
        with publishing(registry, VIEW, wait_seconds=0) as lease:
            assert lease.token == 2


def _status(pid: int) -> str:
    return (Path("/proc") / str(pid) / "status").read_text()


def test_a_frozen_process_is_waited_for_until_its_lease_runs_out_and_refused_when_it_wakes(
    url: str, registry: SqlRegistry
) -> None:
    with holder(url, length_seconds=2) as other:
        other.send_signal(signal.SIGSTOP)
        with pytest.raises(ConflictError), publishing(registry, VIEW, wait_seconds=0):
            pytest.fail("two hold it")
        with publishing(registry, VIEW, wait_seconds=30) as lease:
            assert lease.token == 2
            other.send_signal(signal.SIGCONT)
            said, _ = other.communicate("go on\n", timeout=30)
            assert said.split() == ["LeaseLostError", "LeaseLostError"]
            lease.check()
            done = registry.publish(publication("r2", lease.token), serve=True)
    assert registry.publications(VIEW) == (done,)


def test_a_lease_is_renewed_for_as_long_as_the_block_takes(registry: SqlRegistry) -> None:
    with publishing(registry, VIEW, length_seconds=6) as lease:
        seen = {lease.lease.expires_at}
        while len(seen) < 4:
            lease.check()
            seen.add(found(registry).expires_at)
            time.sleep(0.1)  # each look locks the registry, which a renewal has to lock too
        assert max(seen) - min(seen) >= 5_000_000
        registry.publish(publication("r1", lease.token), serve=True)


def test_a_lease_that_another_took_is_known_to_be_lost_after_the_next_renewal(registry: SqlRegistry) -> None:
    with publishing(registry, VIEW, length_seconds=3) as lease:
        other = registry.take_lease(LEASE, "other", at=FAR, until=FAR + 1)
        with pytest.raises(LeaseLostError, match="token 1 is no longer the newest"):
            _check_for_ever(lease)
    assert found(registry) == other


def test_a_registry_that_is_away_for_a_moment_does_not_end_a_lease(registry: SqlRegistry, tmp_path: Path) -> None:
    held = _held(registry)
    with closing(SqlRegistry(f"sqlite:///{tmp_path / 'away' / 'registry.db'}")) as away:
        assert not held.renew(away)
        held.check()
    assert held.renew(registry)
    held.check()


def test_a_lease_that_ran_out_while_the_registry_was_away_is_lost_and_says_why(
    registry: SqlRegistry, tmp_path: Path
) -> None:
    held = _held(registry, length_seconds=0)
    with closing(SqlRegistry(f"sqlite:///{tmp_path / 'away' / 'registry.db'}")) as away:
        assert not held.renew(away)
    with pytest.raises(LeaseLostError, match=r"token 1 ran out.*away/registry.db.*can't be opened.*Run the same"):
        held.check()


def _check_for_ever(lease: HeldLease) -> None:
    while True:
        lease.check()


def _held(registry: Registry, length_seconds: float = 30) -> HeldLease:
    now = time.time_ns() // 1_000
    until = now + int(length_seconds * 1e6)
    return HeldLease(registry.take_lease(LEASE, "ada", at=now, until=until), length_seconds)
