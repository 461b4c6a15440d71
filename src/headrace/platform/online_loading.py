"""Writing a publication's records into the online store, where nobody sees them until the view's head is written."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.errors import OnlineStoreError
from headrace.online.base import Stamp, expires_at, stamp_of
from headrace.online.record_keys import record_prefix
from headrace.online.records import with_layer
from headrace.platform.crash_points import crash_point
from headrace.platform.gold import complete_from
from headrace.platform.masked_keys import key_masks
from headrace.platform.online_changes import changed_entities, publications_since
from headrace.platform.online_content import Content
from headrace.platform.online_heads import (
    Head,
    namespace_key,
    read_head,
    read_namespace,
    write_head,
    write_namespace,
)
from headrace.platform.pinned import pinned_fingerprints
from headrace.timeline.packed_record import GONE, visible
from headrace.timeline.packed_types import CorruptRecordError

if TYPE_CHECKING:
    import polars as pl

    from headrace.online.base import OnlineStore
    from headrace.platform.context import Context
    from headrace.platform.gold import Gold
    from headrace.platform.leases import HeldLease
    from headrace.platform.online_content import Chunk
    from headrace.registry.base import Publication

KEYS_AT_ONCE = 20_000


def prepared(
    context: Context, gold: Gold, publication: Publication, lease: HeldLease
) -> Callable[[Publication], None] | None:
    """Write a publication's records online, where nobody sees them yet.

    Parameters
    ----------
    context : Context
        The project.
    gold : Gold
        The view's table at the publication's version.
    publication : Publication
        Without its number.
    lease : HeldLease
        The right to publish the view.

    Returns
    -------
    callable or None
        Given the numbered publication, lets readers see its records, all at once. None for a view that is
        not served online, or whose records a stream writes.

    Raises
    ------
    OnlineStoreError
        If the store can't be written.
    LeaseLostError
        If another process took over.
    """
    if not gold.view.online or is_streamed(context, gold.view.name):
        return None
    load = Load(context, gold, publication, lease)
    load.write()
    return lambda numbered: load.show(numbered.number)


def is_streamed(context: Context, view: str) -> bool:
    """Whether the view's records are written by a stream, and by nobody else."""
    head = read_head(context.online, view)
    return head is not None and bool(head.stream)


@dataclass(slots=True)
class Load:
    """The records of one publication on their way to the store.

    Parameters
    ----------
    context : Context
        The project.
    gold : Gold
        The view's table at the publication's version.
    publication : Publication
        What is written; its number may not be known yet.
    lease : HeldLease
        The right to do so.
    """

    context: Context
    gold: Gold
    publication: Publication
    lease: HeldLease
    records: int = 0
    gone: int = 0
    whole: bool = False
    _head: Head | None = field(default=None, init=False)
    _own: Head | None = field(default=None, init=False)
    _anew: bool = field(default=False, init=False)
    _content: Content = field(init=False)

    def write(self, *, whole: bool = False) -> None:
        """Write a layer for every entity that has changed since the head was written; for all of them if `whole`.

        It is whole too where nothing tells what has changed: another definition is served, or nothing.
        """
        self._head = read_head(self._store, self.gold.view.name)
        if self._head is not None:  # a crash may have come between the two that are written of it
            write_namespace(self._store, self._head)
        self._forget_previous()
        self._own = read_namespace(self._store, self.gold.fingerprint)
        self._content = Content.of(self.context, self.gold)
        whole = whole or self._keeps_longer()
        since = None if whole else publications_since(self.context, self._head, self.publication)
        self.whole = since is None
        if since is None:
            self._write_all()
        else:
            self._write_some(changed_entities(self._content, since))

    def show(self, number: int) -> None:
        """Let readers see what was written, as publication `number`."""
        crash_point("before online head")
        head = self._new_head(number)
        write_head(self._store, head)
        crash_point("after online head")
        self._head = head
        self._forget_previous()
        if self.whole and not self._anew:
            self._store.sweep(self._prefix, self.context.clock())

    @property
    def _store(self) -> OnlineStore:
        return self.context.online

    @property
    def _stamp(self) -> Stamp:
        return Stamp(self.publication.generation, self.publication.table_version)

    @property
    def _prefix(self) -> bytes:
        return record_prefix(self.gold.fingerprint)

    @property
    def _seen(self) -> Stamp | None:
        """What readers of these records see now, be it that they pin the definition; None if there are none."""
        return None if self._own is None else self._own.stamp

    def _keeps_longer(self) -> bool:
        """Whether the view's ttl was raised: then records are wanted again that had expired."""
        if self._own is None or self._own.layout.ttl_us is None:
            return False
        ttl_us = self._content.layout.ttl_us
        return ttl_us is None or ttl_us > self._own.layout.ttl_us

    def _write_all(self) -> None:
        self._anew = next(iter(self._store.scan(self._prefix)), None) is None
        for chunk in self._content.chunks(self._content.entities()):
            keys = [] if self._anew else [key for key, _, _ in chunk.bodies]
            self._put(chunk, dict(zip(keys, self._there(keys), strict=True)))
        if not self._anew:
            self._end(item for item in self._store.scan(self._prefix) if stamp_of(item[1]) < self._stamp)

    def _write_some(self, entities: pl.DataFrame) -> None:
        for chunk in self._content.chunks(entities):
            keys = chunk.keys()
            there = dict(zip(keys, self._there(keys), strict=True))
            self._put(chunk, there)
            written = {key for key, _, _ in chunk.bodies}
            self._end((key, old) for key, old in there.items() if old is not None and key not in written)

    def _there(self, keys: list[bytes]) -> list[bytes | None]:
        parts = (keys[i : i + KEYS_AT_ONCE] for i in range(0, len(keys), KEYS_AT_ONCE))
        return [value for part in parts for value in self._store.get_many(part)]

    def _put(self, chunk: Chunk, there: Mapping[bytes, bytes | None]) -> None:
        """Write layers over what is there."""
        self.lease.check()
        try:
            refused = self._store.put_many(self._layered(chunk, there))
        except OnlineStoreError as error:
            raise OnlineStoreError(f"{self.gold.view.place}: {error}") from error
        self._check(refused)
        self.records += len(chunk.bodies)

    def _layered(self, chunk: Chunk, there: Mapping[bytes, bytes | None]) -> Iterator[tuple[bytes, bytes]]:
        seen, stamp, expires = self._seen, self._stamp, chunk.expires
        for key, kind, body in chunk.bodies:
            old, until = _readable(there.get(key)), 0 if expires is None else expires[key]
            if until and old is not None and seen is not None:
                until = _later(until, expires_at(old))
            yield key, with_layer(old, seen, stamp, until, kind, body)

    def _end(self, items: Iterator[tuple[bytes, bytes]]) -> None:
        """Let records end with the new head; those that nobody sees are deleted."""
        seen, ended, unseen = self._seen, [], []
        for key, old in items:
            if seen is None or _readable(old) is None or visible(old, seen)[0] == GONE:
                unseen.append(key)
            else:
                ended.append((key, with_layer(old, seen, self._stamp, expires_at(old), GONE, b"")))
        self._check(self._store.put_many(ended))
        self._store.delete_many(unseen)
        self.gone += len(ended)

    def _check(self, refused: int) -> None:
        """What is refused was written by somebody who came later."""
        crash_point("after online chunk")
        self.lease.check()
        if refused:
            raise OnlineStoreError(
                f"{self.gold.view.place}: {refused} records of {self._store.location} are newer than publication "
                f"{tuple(self._stamp)}. Is the registry an older one than the store's? Then empty the store, and run: "
                f"headrace materialize {self.gold.view.name}"
            )

    def _new_head(self, number: int) -> Head:
        view, old = self.gold.view, self._head
        covered = self.gold.computed().intervals
        return Head(
            view.name, self.gold.fingerprint, number, *self._stamp, self.lease.token, self._content.frontier,
            max(complete_from(view), covered[-1][0]), self.context.clock(), self._content.layout, view.entity_keys,
            key_masks(view), view.freshness_us,
            "" if old is None or old.fingerprint == self.gold.fingerprint else old.fingerprint,
        )  # fmt: skip

    def _forget_previous(self) -> None:
        """Delete the records of the definition that was served before, unless a service pins it."""
        previous = "" if self._head is None else self._head.previous
        if previous and previous not in pinned_fingerprints(self.context, self.gold.view.name):
            forget_namespace(self._store, previous)


def forget_namespace(store: OnlineStore, fingerprint: str) -> None:
    """Delete what the store has of a definition, first what readers begin with."""
    store.delete_many([namespace_key(fingerprint)])
    store.delete_many(key for key, _ in store.scan(record_prefix(fingerprint)))


def _later(one: int, other: int) -> int:
    """The later of two expiries, of which 0 is never."""
    return max(one, other) if one and other else 0


def _readable(record: bytes | None) -> bytes | None:
    """A record, unless it is damaged: nobody can read that, so there is nothing to keep of it."""
    try:
        if record is not None:
            visible(record, (0, 0))
    except (CorruptRecordError, struct.error, IndexError):
        return None
    return record
