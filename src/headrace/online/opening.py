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
        ``unix:///run/redis.sock``, with ``?prefix=shop:`` where projects share it. Or a Redis Cluster:
        ``redis-cluster://host:6379,host:6379``, ``rediss-cluster://…``, with the same options. Or a table of
        DynamoDB: ``dynamodb://shop-features?region=eu-west-1``, perhaps with ``endpoint`` and ``timeout`` (seconds).
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
    if scheme in ("redis", "rediss", "unix", "redis-cluster", "rediss-cluster"):
        prefix = options.pop("prefix", "headrace:")
        redis_url = f"{scheme}:{place}" + (f"?{urlencode(options)}" if options else "")
        return _open_redis(redis_url, prefix, readonly=readonly)
    if scheme == "dynamodb":
        return _open_dynamodb(place.removeprefix("//"), options, readonly=readonly)
    raise SettingsError(
        f"online: there is no store for {scheme + ':' if ':' in url else url!r}. Take lmdb:./online (a folder of this "
        "machine), redis://host:6379/0, rediss://… (with TLS), unix:///path (a Redis server's socket), "
        "redis-cluster://host:6379,host:6379 or dynamodb://TABLE?region=eu-west-1."
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
        if url.partition(":")[0].endswith("-cluster"):
            from headrace.online.redis_cluster import RedisClusterStore

            return RedisClusterStore(url, prefix=prefix, readonly=readonly)
        from headrace.online.redis import RedisStore
    except ModuleNotFoundError as error:
        raise _missing(error, "redis", "pip install 'headrace[redis]'") from error
    return RedisStore(url, prefix=prefix, readonly=readonly)


def _open_dynamodb(table: str, options: dict[str, str], *, readonly: bool) -> OnlineStore:
    named = {name: options.pop(name, "") for name in ("region", "endpoint")}
    timeout_seconds = _seconds(options.pop("timeout", "10"))
    if options:
        raise SettingsError(
            f"online: dynamodb has no option {next(iter(options))!r}; there are region, endpoint and timeout. "
            "Credentials come from AWS's own settings, as AWS_PROFILE or a role, and never from here."
        )
    if named["endpoint"] and not re.match(r"https?://\w", named["endpoint"]):
        raise SettingsError(
            f"online: endpoint={named['endpoint']!r} is no address. Write endpoint=http://127.0.0.1:8000, or leave it "
            "out: the region says where DynamoDB is."
        )
    if not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", table):
        shown = "a name with '@'" if "@" in table else repr(table)
        raise SettingsError(
            f"online: {shown} is no name of a table: 3 to 255 letters, digits, '_', '-' and '.'. Write "
            "dynamodb://shop-features?region=eu-west-1."
        )
    try:
        from headrace.online.dynamodb import DynamoStore
        from headrace.online.dynamodb_client import Place
    except ModuleNotFoundError as error:
        library = "botocore" if error.name == "botocore" else "boto3"
        raise _missing(error, library, "pip install 'headrace[dynamodb]'") from error
    place = Place(table, named["region"] or None, named["endpoint"] or None, timeout_seconds)
    return DynamoStore(place, readonly=readonly)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,4}(\.\d+)?", text) or not float(text):
        raise SettingsError(f"online: timeout={text!r} is no time. Write seconds, as timeout=0.5.")
    return float(text)


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
