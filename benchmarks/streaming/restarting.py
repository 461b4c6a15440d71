"""Starting again after a kill, with a million keys of state: how long until a fresh event is served."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from benchmarks.stream_peers.events import Pings
from benchmarks.stream_peers.producing import produce
from benchmarks.streaming.project import MANY, project, running, status
from data_platform.stack.topics import create_topic


def restarted(folder: Path, bootstrap: str, online: str, keys: int) -> dict[str, Any]:
    """Fill the state, kill the stream, start it again beside fresh events, and wait for the first epoch."""
    create_topic(bootstrap, "gps", 4)
    produce(bootstrap, "gps", keys, Pings(duplicated_share=0))
    project(folder, bootstrap, online, MANY)
    with running(folder) as process:
        while status(folder).get("events", 0) < keys or status(folder)["snapshot_epoch"] < status(folder)["epoch"]:
            time.sleep(0.2)
        process.send_signal(signal.SIGKILL)
    before = status(folder)["epoch"]
    produce(bootstrap, "gps", 10_000, Pings(seed=2))
    began = time.monotonic()
    with running(folder):
        while status(folder)["epoch"] <= before or sum(status(folder)["sinks"].values()) <= before:
            time.sleep(0.02)
        seconds = time.monotonic() - began
        said = status(folder)
    return {"keys": said["views"][0]["entities"], "restart_seconds": seconds, "state_mb": said["state_bytes"] / 1e6}
