"""What tests write to online stores, and processes of their own that write it: ``python -m tests.online_stores``."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from headrace.online.base import HEADER_BYTES, Stamp, header, stamp_of
from headrace.online.opening import open_store

ROOT = Path(__file__).parents[1]
HEAD = b"hview"
HALVES = (b"rview\x01", b"rview\x02")


def value(key: bytes, epoch: int, *, generation: int = 1, expires_at: int = 0) -> bytes:
    """A value that tells whether it is whole."""
    stamp = Stamp(generation, epoch)
    return header(stamp, expires_at) + hashlib.sha256(key + repr(tuple(stamp)).encode()).digest() * 3


def is_whole(key: bytes, found: bytes) -> bool:
    """Whether a value is one that `value` made."""
    stamp = stamp_of(found)
    return found[HEADER_BYTES:] == value(key, stamp.epoch, generation=stamp.generation)[HEADER_BYTES:]


def numbered(count: int) -> list[bytes]:
    """Sorted keys."""
    return [b"rview" + number.to_bytes(4) for number in range(count)]


def items(keys: Sequence[bytes], epoch: int) -> list[tuple[bytes, bytes]]:
    """Keys with their values of one epoch."""
    return [(key, value(key, epoch)) for key in keys]


def start_writer(url: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a process that writes; it begins with a line on its standard input (see `go`)."""
    command = [sys.executable, "-m", "tests.online_stores", url, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    return subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, cwd=ROOT)


def go(*writers: subprocess.Popen[bytes]) -> None:
    """Let processes begin."""
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.close()


def main() -> None:
    """Write what the arguments say: ``flip COUNT``, ``once EPOCH COUNT STEP`` or ``forever COUNT``."""
    url, what, *numbers = sys.argv[1:]
    store = open_store(url, Path())
    sys.stdin.readline()
    match what, [int(number) for number in numbers]:
        case "flip", [count]:
            for epoch in range(1, count + 1):
                store.put_many(items(HALVES, epoch))
                store.put_many(items([HEAD], epoch))
        case "once", [epoch, count, step]:
            keys = numbered(count)[::step]
            for start in range(0, count, 100):
                store.put_many(items(keys[start : start + 100], epoch))
        case "forever", [count]:
            store.put_many(_endless(numbered(count)))
    store.close()


def _endless(keys: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    epoch = 0
    while True:
        epoch += 1
        yield from items(keys, epoch)


if __name__ == "__main__":
    main()
