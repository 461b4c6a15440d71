"""Which online store a setting names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode

from headrace.errors import OnlineStoreError, SettingsError

if TYPE_CHECKING:
    from headrace.online.base import OnlineStore

_UNITS: Final = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_PAGE_BYTES: Final = 4096


def open_store(url: str, root: Path, *, readonly: bool = False) -> OnlineStore:
    """Open an online store. Nothing is read, made or connected yet.

    Parameters
    ----------
    url : str
        ``lmdb:./online``, a folder relative to the project, perhaps with the greatest size of its map:
        ``lmdb:/var/online?map_size=64GiB``. Or a Redis server: ``redis://host:6379/0``, ``rediss://…`` (TLS),
        ``unix:///run/redis.sock``, with ``?prefix=shop:`` where projects share it.
    root : Path
        The project's folder.
    readonly : bool
        Refuse to write.

    Raises
    ------
    SettingsError
        If there is no such store, or its options can't be read.
    OnlineStoreError
        If the library that it needs is not installed.
    """
    scheme, _, rest = url.partition(":")
    place, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if scheme == "lmdb":
        return _open_lmdb(place, options, root, readonly=readonly)
    if scheme in ("redis", "rediss", "unix"):
        prefix = options.pop("prefix", "headrace:")
        redis_url = f"{scheme}:{place}" + (f"?{urlencode(options)}" if options else "")
        return _open_redis(redis_url, prefix, readonly=readonly)
    raise SettingsError(
        f"online: there is no store for {scheme + ':' if ':' in url else url!r}. Take lmdb:./online (a folder of this "
        "machine), redis://host:6379/0, rediss://… (with TLS) or unix:///path (a Redis server's socket)."
    )


def _open_lmdb(place: str, options: dict[str, str], root: Path, *, readonly: bool) -> OnlineStore:
    map_size = _size_bytes(options.pop("map_size", ""))
    if options:
        raise SettingsError(f"online: lmdb has no option {next(iter(options))!r}; there is map_size.")
    if not place:
        raise SettingsError("online: lmdb: names no folder. Write lmdb:./online.")
    try:
        from headrace.online.lmdb import LmdbStore
    except ModuleNotFoundError as error:
        raise _missing(error, "lmdb", "pip install lmdb") from error
    folder = root.resolve() / Path(place).expanduser()
    return LmdbStore(folder.resolve(), map_size=map_size, readonly=readonly)


def _open_redis(url: str, prefix: str, *, readonly: bool) -> OnlineStore:
    try:
        from headrace.online.redis import RedisStore
    except ModuleNotFoundError as error:
        raise _missing(error, "redis", "pip install 'headrace[redis]'") from error
    return RedisStore(url, prefix=prefix, readonly=readonly)


def _missing(error: ModuleNotFoundError, library: str, command: str) -> Exception:
    if error.name != library:
        return error
    return OnlineStoreError(f"The online store needs the library {library}, which is not installed: {command}.")


def _size_bytes(text: str) -> int | None:
    if not text:
        return None
    found = re.fullmatch(r"(\d+) ?(|B|[KMGT]iB)", text)
    size = int(found[1]) * _UNITS[found[2]] // _PAGE_BYTES * _PAGE_BYTES if found else 0
    if not size:
        raise SettingsError(f"online: map_size={text!r} is no size. Write map_size=64GiB (KiB, MiB, GiB or TiB).")
    return size
