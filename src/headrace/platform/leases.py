"""Waiting for the right to publish a view, and keeping it while one does."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from headrace.errors import ConflictError, LeaseLostError, RegistryError
from headrace.platform.processes import has_ended, this_process

if TYPE_CHECKING:
    from headrace.registry.base import Lease, Registry

LENGTH_SECONDS: Final = 30.0
_RENEWALS: Final = 3  # in the length of a lease
_FIRST_PAUSE_SECONDS: Final = 0.01
_LONGEST_PAUSE_SECONDS: Final = 0.2


@dataclass(slots=True)
class HeldLease:
    """A lease that is renewed while it is held.

    Parameters
    ----------
    lease : Lease
        As it was last renewed.
    length_seconds : float
        For how long each renewal lasts.
    """

    lease: Lease
    length_seconds: float = LENGTH_SECONDS
    _failure: RegistryError | None = field(default=None, repr=False)

    @property
    def token(self) -> int:
        """The fencing token."""
        return self.lease.token

    def check(self) -> None:
        """Refuse to go on under a lease that another may have; the registry is not asked.

        Raises
        ------
        LeaseLostError
            If another process took it over, or it ran out because it could not be renewed.
        """
        if isinstance(self._failure, LeaseLostError):
            raise LeaseLostError(str(self._failure)) from self._failure
        if self.lease.expires_at <= _now():
            why = "this process stood still" if self._failure is None else str(self._failure)
            raise LeaseLostError(
                f"lease '{self.lease.name}': token {self.token} ran out, as it was not renewed for "
                f"{self.length_seconds:g} s ({why}). Run the same command again."
            ) from self._failure

    def renew(self, registry: Registry) -> bool:
        """Renew it; what goes wrong is remembered for the next `check`."""
        try:
            self.lease = registry.renew_lease(self.lease, until=_now() + _us(self.length_seconds))
        except RegistryError as error:
            self._failure = error
            return False
        self._failure = None
        return True


@contextmanager
def publishing(
    registry: Registry,
    view: str,
    *,
    wait_seconds: float = 600.0,
    length_seconds: float = LENGTH_SECONDS,
    report: Callable[[str], None] | None = None,
) -> Iterator[HeldLease]:
    """Hold the lease ``publish-{view}`` while the block runs, after waiting for one's turn.

    The clock is the machine's own, as leases are about real time. A holder that ended without giving
    back, on this machine, is not waited for.

    Parameters
    ----------
    registry : Registry
        Who keeps leases.
    view : str
        The view.
    wait_seconds : float
        How long to wait for others.
    length_seconds : float
        How long others wait for a machine that is gone; the lease is renewed three times in it.
    report : callable, optional
        Told once for whom one waits.

    Raises
    ------
    ConflictError
        If others hold it for longer than that.
    RegistryError
        If the registry can't be read or written.
    """
    held = HeldLease(_taken(registry, f"publish-{view}", wait_seconds, length_seconds, report), length_seconds)
    try:
        with _renewed(registry, held):
            yield held
    finally:
        with suppress(RegistryError):  # it runs out by itself, and must not hide why the block ended
            registry.give_back_lease(held.lease)


@contextmanager
def _renewed(registry: Registry, held: HeldLease) -> Iterator[None]:
    ended = threading.Event()
    renewing = threading.Thread(target=_keep, args=(registry, held, ended), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()


def _keep(registry: Registry, held: HeldLease, ended: threading.Event) -> None:
    pause = held.length_seconds / _RENEWALS
    while not ended.wait(pause):
        pause = held.length_seconds / (_RENEWALS if held.renew(registry) else 10 * _RENEWALS)


def _taken(
    registry: Registry, name: str, wait_seconds: float, length_seconds: float, report: Callable[[str], None] | None
) -> Lease:
    holder, dead = f"{this_process()}:{secrets.token_hex(4)}", ""  # two threads of a process are two holders
    waited_until, pause = time.monotonic() + wait_seconds, _FIRST_PAUSE_SECONDS
    while True:
        now = _now()
        found = registry.take_lease(name, holder, at=now, until=now + _us(length_seconds), from_holder=dead)
        if found.holder == holder:
            return found
        dead = found.holder if has_ended(found.holder) else ""
        if dead:
            continue
        if time.monotonic() >= waited_until:
            raise ConflictError(
                f"lease '{name}': {_described(found)} has held it for more than {wait_seconds:g} s. Wait for it to "
                "end, or stop it."
            )
        if report is not None and pause == _FIRST_PAUSE_SECONDS:
            report(f"waiting for {_described(found)}, which holds the lease '{name}'")
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _described(lease: Lease) -> str:
    """The holder of a lease, for people."""
    host, pid, *_ = [*lease.holder.split(":"), ""]
    return f"process {pid} on {host}"


def _now() -> int:
    return time.time_ns() // 1_000


def _us(seconds: float) -> int:
    return int(seconds * 1_000_000)
