"""Doing it: the server, its store, the publisher and the load at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from data_platform.stack.redis import RedisServer
from tests.serving_chaos.asking import Asking
from tests.serving_chaos.city import make
from tests.serving_chaos.served import ROOT, Served, takes_workers
from tests.serving_chaos.tally import GRACE_SECONDS, Outage, Tally, judge

WORKERS: Final = 2
_WAYS: Final = ("redis", "redis", "pause", "worker", "worker", "redis+worker", "pause+worker")
"""What is disturbed: Redis killed or paused, a worker killed, or both at once."""
_REDIS_SETTINGS: Final = {"appendfsync": "no"}
"""Each write is handed to the machine before it is answered, which outlives the server; the machine is not killed."""


def chaos(folder: Path, seconds: float, seed: int, per_second: float = 150.0) -> Tally:
    """Do it; see the package."""
    tally, chosen, root = Tally(), random.Random(seed), folder / "project"
    make(root)
    redis = RedisServer(folder / "redis", settings=_REDIS_SETTINGS).start()
    try:
        with _publishing(root, redis.url, seed) as said:
            served = Served(root, redis.url, WORKERS if takes_workers() else 1, folder / "serve.log")
            asking = Asking("127.0.0.1", served.port, per_second, seed)
            load = threading.Thread(target=asking.run)
            load.start()
            try:
                _await_answers(asking)
                outages = _disturbed(redis, served, seconds, chosen, tally)
            finally:
                asking.ended = True
                load.join()
                tally.done[f"exit code {served.stop()}"] += 1
    finally:
        redis.stop()
    _count_said(said, tally)
    judge(tally, sorted(asking.asked, key=lambda each: each.sent), outages, said)
    return tally


@contextmanager
def _publishing(root: Path, online: str, seed: int) -> Iterator[list[dict[str, Any]]]:
    """What the publisher says, once both views are there; complete when the block has ended."""
    command = [sys.executable, "-m", "tests.serving_chaos.publisher", str(root), str(seed)]
    said: list[dict[str, Any]] = []
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "HEADRACE_ONLINE": online}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        for line in process.stdout:
            said.append(json.loads(line))
            if said[-1]["kind"] == "ready":
                break
        listening = threading.Thread(target=lambda: said.extend(map(json.loads, process.stdout or ())))
        listening.start()
        try:
            yield said
        finally:
            process.stdin.close()
            listening.join()
    if process.returncode:
        raise RuntimeError(f"the publisher ended with {process.returncode}")


def _await_answers(asking: Asking) -> None:
    """See that it is well before anything is disturbed."""
    time.sleep(1.0)
    found = [each for each in asking.asked if each.error or each.wrong]
    if found or not asking.asked:
        raise RuntimeError(f"the server did not answer well even at first: {found[:1]}")


def _disturbed(redis: RedisServer, served: Served, seconds: float, chosen: random.Random, tally: Tally) -> list[Outage]:
    """Disturb for some seconds, then leave everything alone for long enough to see that it is well."""
    outages, ends = [], time.monotonic() + seconds
    while time.monotonic() < ends:
        what = chosen.choice(_WAYS)
        tally.done[what] += 1
        began = time.monotonic()
        if what.startswith("redis"):
            redis.kill()
        elif what.startswith("pause"):
            _send(redis, signal.SIGSTOP)
        if what.endswith("worker"):
            served.kill_worker(chosen)
        if what != "worker":
            time.sleep(chosen.uniform(0.1, 4.0))
        if what.startswith("redis"):
            redis.start()
        elif what.startswith("pause"):
            _send(redis, signal.SIGCONT)
        outages.append(Outage(what, began, time.monotonic()))
        time.sleep(chosen.uniform(GRACE_SECONDS, GRACE_SECONDS + 4.0))
    return outages


def _send(redis: RedisServer, number: signal.Signals) -> None:
    pid = redis.pid
    assert pid is not None
    os.kill(pid, number)


def _count_said(said: list[dict[str, Any]], tally: Tally) -> None:
    for each in said:
        if each["kind"] == "end":
            tally.done[each["what"]] += 1
        elif each["kind"] == "away":
            tally.done["published while the store was away"] += 1
        elif each["kind"] == "error":
            tally.publisher_errors += 1
            tally.find(f"the publisher: {each['error']}")
