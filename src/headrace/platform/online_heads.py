"""A view's head in the online store: what a reader has to know to read its records, and nothing else is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.definitions.personal import Mask
from headrace.errors import OnlineStoreError
from headrace.online.base import HEADER_BYTES, Stamp, header
from headrace.timeline.packed import Layout
from headrace.timeline.packed_types import CorruptRecordError
from headrace.types import DataType, parse_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headrace.online.base import OnlineStore


@dataclass(frozen=True, slots=True)
class Head:
    """What is served online of a view.

    Parameters
    ----------
    view, fingerprint : str
        The view, and the definition whose records are read.
    number : int
        The publication.
    generation, epoch : int
        The stamp of the newest layers that are seen; comparable among records of one definition only.
    token : int
        The fencing token of the lease under which it was written: orders the heads of a view.
    frontier, complete_from : int
        Through when steps were computed, and from when on they are complete; microseconds.
    written_at : int
        When it was written, in microseconds UTC.
    layout : Layout
        What a record holds.
    keys : mapping of str to DataType
        The entity's keys as requests bring them.
    masks : mapping of str to Mask
        How some of them are masked before they are looked up.
    freshness_us : int, optional
        How far behind the view may be before it counts as stale.
    previous : str
        The definition that was served before, until its records are deleted; else empty.
    stream : str
        The source whose stream writes the view's records; empty where publications do.
    """

    view: str
    fingerprint: str
    number: int
    generation: int
    epoch: int
    token: int
    frontier: int
    complete_from: int
    written_at: int
    layout: Layout
    keys: Mapping[str, DataType]
    masks: Mapping[str, Mask]
    freshness_us: int | None = None
    previous: str = ""
    stream: str = ""

    @property
    def stamp(self) -> Stamp:
        """The newest layers that are seen."""
        return Stamp(self.generation, self.epoch)

    @property
    def stored_keys(self) -> tuple[DataType, ...]:
        """The types of the keys as records are named by them: a keyed hash is text."""
        return tuple(
            DataType("String") if key in self.masks and self.masks[key].method == "hmac" else dtype
            for key, dtype in self.keys.items()
        )

    def pack(self) -> bytes:
        """The value in the store."""
        return header(Stamp(0, self.token)) + msgspec.msgpack.encode(self._plain())

    def _plain(self) -> dict[str, Any]:
        document = {name: getattr(self, name) for name in self.__slots__}
        document["layout"] = self.layout.plain()
        document["keys"] = {key: str(dtype) for key, dtype in self.keys.items()}
        document["masks"] = {key: [mask.method, mask.keep] for key, mask in self.masks.items()}
        return document

    @classmethod
    def unpack(cls, value: bytes) -> Head:
        """The inverse of `pack`.

        Raises
        ------
        CorruptRecordError
            If the bytes are no head, or one of another version of headrace.
        """
        try:
            document = msgspec.msgpack.decode(value[HEADER_BYTES:], type=dict[str, Any])
            document["layout"] = Layout.from_plain(document["layout"])
            document["keys"] = {key: parse_type(text) for key, text in document["keys"].items()}
            document["masks"] = {key: Mask(*mask) for key, mask in document["masks"].items()}
            return cls(**document)
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise CorruptRecordError(f"a head of {len(value)} bytes can't be read: {error}") from error


def head_key(view: str) -> bytes:
    """Where a view's head is."""
    return b"h" + view.encode()


def namespace_key(fingerprint: str) -> bytes:
    """Where the head of one definition's records is, for services that pin it."""
    return b"n" + fingerprint.encode()


def read_head(store: OnlineStore, view: str) -> Head | None:
    """A view's head; None if it was never written, or can't be read: then everything is to be written again."""
    return _read(store, head_key(view))


def read_namespace(store: OnlineStore, fingerprint: str) -> Head | None:
    """The head of one definition's records; None if there is none, or it can't be read."""
    return _read(store, namespace_key(fingerprint))


def _read(store: OnlineStore, key: bytes) -> Head | None:
    (value,) = store.get_many([key])
    try:
        return None if value is None else Head.unpack(value)
    except CorruptRecordError:
        return None


def write_head(store: OnlineStore, head: Head) -> None:
    """Let readers see the layers that a head names: those of the view, then those who pin its definition.

    Raises
    ------
    OnlineStoreError
        If the one that is there was written under a later lease.
    """
    if store.put_many([(head_key(head.view), head.pack())]):
        raise OnlineStoreError(
            f"view '{head.view}': {store.location} was written under a later lease than number {head.token}, so this "
            "process may not write. Is the registry an older one than the store's? Then empty the store, and run: "
            f"headrace materialize {head.view}"
        )
    write_namespace(store, head)


def write_namespace(store: OnlineStore, head: Head) -> None:
    """Let those who pin a definition see what its view's head names."""
    store.put_many([(namespace_key(head.fingerprint), head.pack())])
