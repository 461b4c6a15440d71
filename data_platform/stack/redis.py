"""One Redis server, which keeps its data when it is killed."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from data_platform.stack import ports
from data_platform.stack.errors import StackError
from data_platform.stack.server import Server

__all__ = ["SETTINGS", "RedisServer"]

SETTINGS: Final[Mapping[str, str]] = MappingProxyType({
    "appendonly": "yes",
    "save": '""',
    "set-proc-title": "no",  # the command line keeps the settings' path, by which the process is known
})  # fmt: skip


class RedisServer(Server):
    """A Redis server; see `Server` for its parameters.

    Settings are in Redis's names, in place of `SETTINGS`: ``{"appendonly": "no"}`` keeps the data in memory alone.
    """

    name = "Redis"

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://{self.address}/0"

    @property
    def settings_file(self) -> Path:
        return self.folder / "redis.conf"

    def answers(self, timeout_seconds: float = 1.0) -> bool:
        """Whether the server answers PING; not while it loads its data."""
        try:
            with socket.create_connection((ports.HOST, self.port), timeout_seconds) as connection:
                connection.settimeout(timeout_seconds)
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False

    def _prepare(self) -> list[str]:
        program = shutil.which("redis-server")
        if program is None:
            raise StackError(
                "the program redis-server is not installed. Install it (Debian: apt-get install redis-server)."
            )
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        places = {"bind": ports.HOST, "port": str(self.port), "dir": f'"{data}"'}
        settings = {**SETTINGS, **places, **self.settings}
        self.settings_file.write_text("".join(f"{key} {value}\n" for key, value in settings.items()), encoding="utf-8")
        return [program, str(self.settings_file)]
