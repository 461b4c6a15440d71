"""The project of the live demo, and `headrace stream` on it as a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from data_platform.demo.folder import prepare
from data_platform.live.servers import Servers
from headrace import Platform
from headrace.errors import HeadraceError
from headrace.platform.settings import FILE_NAME
from headrace.streaming.status import StreamStatus

SOURCES: Final = ("gps", "rides")
_END_SECONDS: Final = 20
_LOOK_SECONDS: Final = 0.1
_SETTINGS: Final = """\
name = "ride_hailing_live"
module = "features"
lake = "./lake"
registry = "sqlite:///registry.db"
online = "{online}"
kafka = "{kafka}"
stream_sinks = "online"
"""


def project(folder: Path, servers: Servers) -> Platform:
    """The reference platform's definitions, applied, with streams from Kafka and Redis for what is served."""
    root = prepare(folder)
    (root / FILE_NAME).write_text(_SETTINGS.format(online=servers.online, kafka=servers.kafka), encoding="utf-8")
    platform = Platform.open(root)
    platform.apply()
    return platform


@dataclass(frozen=True, slots=True)
class Running:
    """A stream that runs.

    Parameters
    ----------
    process : Popen
        Its process.
    platform : Platform
        The project.
    url : str
        Its page.
    log : Path
        What it says.
    """

    process: subprocess.Popen[bytes]
    platform: Platform
    url: str
    log: Path

    def status(self) -> dict[str, StreamStatus]:
        """What it says of itself, by source.

        Raises
        ------
        HeadraceError
            If it has ended.
        """
        if (code := self.process.poll()) is not None:
            said = "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-15:])
            raise HeadraceError(f"`headrace stream` ended with {code}. The end of {self.log}:\n{said}")
        return {each.source: each for each in self.platform.stream_status()}

    def read(self) -> int:
        """How many records it has read, and written the effect of: all but those of the epoch at hand."""
        return sum(each.events for each in self.status().values() if _is_written(each))

    def wait_for(self, records: int, timeout_seconds: float) -> None:
        """Wait until so many records are read and their effect is served.

        Raises
        ------
        HeadraceError
            If that takes too long, or the stream ends.
        """
        deadline = time.monotonic() + timeout_seconds
        while (read := self.read()) < records:
            if time.monotonic() > deadline:
                raise HeadraceError(
                    f"`headrace stream` has read {read:,} of {records:,} records in {timeout_seconds:.0f} s. "
                    f"See {self.log}, and {self.url}"
                )
            time.sleep(_LOOK_SECONDS)


def _is_written(status: StreamStatus) -> bool:
    return bool(status.sinks) and min(status.sinks.values()) >= status.epoch


@contextmanager
def streaming(platform: Platform, port: int) -> Iterator[Running]:
    """Run the streams of the sources, and their page, while the block runs."""
    root = platform.context.root
    command = [sys.executable, "-m", "headrace", "stream", "--project", str(root), "--page", str(port)]
    command += [word for source in SOURCES for word in ("--source", source)]
    log = root / "stream.log"
    # in a group of its own: a Ctrl-C at the terminal is for the demo, which ends it in good order
    with (
        log.open("wb") as said,
        subprocess.Popen(command, stdout=said, stderr=said, process_group=0) as process,  # noqa: S603 - ourselves
    ):
        try:
            yield Running(process, platform, f"http://127.0.0.1:{port}", log)
        finally:
            process.terminate()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
