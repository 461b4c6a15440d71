"""Where the time of a request goes: ``headrace serve`` under load, with Python's profiler in it.

``python -m benchmarks.serving.profile --store redis --seconds 4``

First a run without the profiler gives the processor time of a request; then one with it gives the shares, by module and
by function. The profiler makes small functions look dearer than they are, and sees the main thread alone.
"""

from __future__ import annotations

import argparse
import pstats
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT
from benchmarks.redis_servers import redis_server
from benchmarks.serve import prepare
from benchmarks.served import VIEW, served_from
from benchmarks.serving.load import load
from benchmarks.serving.processes import Server, free_port, server

_MODULES, _FUNCTIONS = 20, 30


def main() -> None:
    """Run it and print the tables."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--store", choices=("redis", "lmdb"), default="redis")
    asked.add_argument("--seconds", type=float, default=4.0)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-profile-") as folder:
        prepare(Path(folder), 0.5)
        with _store(given.store, Path(folder)) as online:
            print(f"{_cpu_us(Path(folder), online, given.seconds):.1f} us of the server's processor time a request")
            _report(_profiled(Path(folder), online, given.seconds))


@contextmanager
def _store(name: str, folder: Path) -> Iterator[str]:
    if name == "lmdb":
        yield "lmdb:./online"
        return
    with redis_server() as port:
        online = f"redis://127.0.0.1:{port}/0"
        with served_from(folder / "project", online) as platform:
            platform.materialize(VIEW)
        yield online


@contextmanager
def _serving(folder: Path, online: str, *before: str) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, *before, "-m", "headrace", "serve", "--port", str(port)]
    command += ["--project", str(folder / "project")]
    with server(command, port, folder, {"HEADRACE_ONLINE": online}) as started:
        yield started


def _cpu_us(folder: Path, online: str, seconds: float) -> float:
    with _serving(folder, online) as started:
        _ask(folder, started, 1.0)
        before = started.cpu_seconds()
        answered = _ask(folder, started, seconds)
        return (started.cpu_seconds() - before) * 1e6 / answered


def _profiled(folder: Path, online: str, seconds: float) -> tuple[Any, int]:
    path = folder / "profile"
    with _serving(folder, online, "-m", "cProfile", "-o", str(path)) as started:
        answered = _ask(folder, started, seconds)
    return pstats.Stats(str(path)), answered


def _ask(folder: Path, started: Server, seconds: float) -> int:
    return load(f"{started.url}/get-online-features", seconds, bodies=folder / "bodies").answered


def _report(found: tuple[Any, int]) -> None:
    stats, answered = found
    each = {where: (calls, own) for where, (_, calls, own, _, _) in stats.stats.items() if calls >= answered / 2}
    whole = sum(own for _, own in each.values())
    modules: Counter[str] = Counter()
    for (path, _, name), (_, own) in each.items():
        modules[_module(path, name)] += own
    print(f"\nOf a request's time under the profiler ({whole / answered * 1e6:.0f} us), by module:")
    for module, own in modules.most_common(_MODULES):
        print(f"{own / whole:7.1%} {own / answered * 1e6:8.1f} us  {module}")
    print("\nBy function, with its calls a request:")
    for (path, line, name), (calls, own) in sorted(each.items(), key=lambda one: -one[1][1])[:_FUNCTIONS]:
        place = f"{_module(path, name)}:{line} " if line else ""
        print(f"{own / whole:7.1%} {own / answered * 1e6:8.1f} us {calls / answered:7.1f}  {place}{name}")


def _module(path: str, name: str) -> str:
    if path == "~":
        return "built in: " + name.removeprefix("<").split(" of ")[-1].removesuffix(">").split(" object")[0]
    for root in (str(ROOT / "src") + "/", "site-packages/", "python3.11/"):
        if root in path:
            return path.split(root)[1]
    return path


if __name__ == "__main__":
    main()
