"""Changes to the file of keys: each is there wholly or not at all, and two at once do not undo each other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from headrace.errors import SettingsError, UnknownNameError
from headrace.lake.durable import make_folder, sync_folder
from headrace.server.security.caller import GrantedRight
from headrace.server.security.keys import PREFIX, Key, KeyRing, KeysFile, new_secret
from headrace.server.security.watched import read_guarded
from headrace.types import instant_text


def read_keys(path: Path) -> list[Key]:
    """The keys in a file; none where there is no file.

    Raises
    ------
    SettingsError
        If the file can't be read or is damaged.
    """
    return KeyRing.parse(read_guarded(path)[0]).keys if path.exists() else []


def new_key(
    path: Path,
    now_us: int,
    *,
    rights: Sequence[GrantedRight],
    services: Sequence[str] | None = None,
    lasts_us: int | None = None,
    note: str = "",
) -> tuple[Key, str]:
    """Add a key.

    Parameters
    ----------
    path : Path
        The file of keys, which is made if it is missing.
    now_us : int
        Now, in microseconds UTC.
    rights, services, note
        As of `Key`.
    lasts_us : int, optional
        How long it is valid; for ever by default.

    Returns
    -------
    tuple of Key and str
        What is kept of it, and the key itself, which is not kept anywhere.
    """
    key_id, secret, sha256 = new_secret()
    key = Key(
        id=key_id,
        sha256=sha256,
        rights=list(dict.fromkeys(rights)),
        services=None if services is None else list(dict.fromkeys(services)),
        note=note,
        created_at=instant_text(now_us),
        expires_at=None if lasts_us is None else instant_text(now_us + lasts_us),
    )
    with _changing(path) as keys:
        keys.append(key)
    return key, secret


def revoke_key(path: Path, key_id: str, now_us: int) -> Key:
    """End a key now. It stays in the file, so that its id in the record of requests can still be looked up.

    Raises
    ------
    UnknownNameError
        If there is no such key.
    """
    with _changing(path) as keys:
        place = _place(path, keys, key_id)
        if keys[place].revoked_at is None:
            keys[place] = msgspec.structs.replace(keys[place], revoked_at=instant_text(now_us))
        return keys[place]


def rotate_key(path: Path, key_id: str, now_us: int, overlap_us: int, lasts_us: int | None = None) -> tuple[Key, str]:
    """Add a key that may do what another may, which ends after a while in which both are valid.

    Parameters
    ----------
    path, key_id, now_us
        The file, the key that is to be replaced, and now.
    overlap_us : int
        How long the old one stays valid, unless it ends before.
    lasts_us : int, optional
        How long the new one is valid; for ever by default.

    Raises
    ------
    UnknownNameError
        If there is no such key.
    SettingsError
        If it has ended: nobody can be using it.
    """
    with _changing(path) as keys:
        place = _place(path, keys, key_id)
        old = keys[place]
        if old.state(now_us) != "valid":
            raise SettingsError(f"{path}: the key {old.id} is {old.state(now_us)}. Make a new one: headrace keys new")
        new_id, secret, sha256 = new_secret()
        key = msgspec.structs.replace(
            old, id=new_id, sha256=sha256, created_at=instant_text(now_us),
            expires_at=None if lasts_us is None else instant_text(now_us + lasts_us),
        )  # fmt: skip
        keys[place] = msgspec.structs.replace(old, expires_at=instant_text(min(old.ends_us, now_us + overlap_us)))
        keys.append(key)
    return key, secret


def _place(path: Path, keys: list[Key], key_id: str) -> int:
    """Where a key is in the file; a whole key may be given, and is not shown."""
    if key_id.startswith(PREFIX):
        key_id = key_id.removeprefix(PREFIX).partition("_")[0]
    for place, key in enumerate(keys):
        if key.id == key_id:
            return place
    raise UnknownNameError.of("key", key_id, [key.id for key in keys], str(path))


@contextmanager
def _changing(path: Path) -> Iterator[list[Key]]:
    """The keys, to be changed in place; written when the block has run without an error."""
    try:
        make_folder(path.parent)
        with _alone(path):
            keys = read_keys(path)
            yield keys
            content = msgspec.json.format(msgspec.json.encode(KeysFile(1, keys)), indent=2)
            _write_private(path, content + b"\n")
    except OSError as error:
        raise SettingsError(f"{path} can't be written: {error.strerror or error}.") from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process changes the file; where the system has no such locks, one has to take care."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that its owner alone may read: readers see the old content or the new, never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
