"""What every use case is given: the project, its definitions and its stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.definitions.project import Definitions
from headrace.platform.settings import Settings

if TYPE_CHECKING:
    from headrace.engines.base import Engine
    from headrace.lake.base import Lake
    from headrace.online.base import OnlineStore
    from headrace.registry.base import Registry


@dataclass(frozen=True)
class Context:
    """Everything that a use case needs.

    Parameters
    ----------
    root : Path
        The project's folder.
    settings : Settings
        From ``headrace.toml`` and the environment.
    definitions : Definitions
        As the project's files say now; what is in force is in the registry.
    registry : Registry
        Which definitions are in force.
    lake : Lake
        Where tables are.
    clock : callable
        Now, in microseconds UTC.
    """

    root: Path
    settings: Settings
    definitions: Definitions
    registry: Registry
    lake: Lake
    clock: Callable[[], int]

    @property
    def engine(self) -> Engine:
        """What computes steps."""
        from headrace.engines.polars import PolarsEngine

        return PolarsEngine()

    @cached_property
    def online(self) -> OnlineStore:
        """The online store. Nothing is read, made or connected before its first use."""
        from headrace.online.opening import open_store

        return open_store(self.settings.online, self.root)

    def adopt_online(self, other: Context) -> None:
        """Use another context's online store, if it is the same one: its connections are open already."""
        if (other.settings.online, other.root.resolve()) == (self.settings.online, self.root.resolve()):
            self.__dict__["online"] = other.online
