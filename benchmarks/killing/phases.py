"""How far a command had come when it was killed: told by what it left behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace.platform import Platform
from headrace.platform.gold import Gold
from headrace.platform.online_heads import read_head
from headrace.platform.registering import is_interrupted

NOTHING: Final = "nothing written"
WRITING: Final = "files not committed"
COMMITTED: Final = "not yet published"
PUBLISHED: Final = "not yet online"
BETWEEN: Final = "in between"
PHASES: Final = (NOTHING, WRITING, COMMITTED, PUBLISHED, BETWEEN)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What can be seen of a project's commands.

    Parameters
    ----------
    commits : frozenset of Path
        The logs' entries.
    files : frozenset of Path
        Data files.
    published, held : int
        How many publications there are, and holds.
    """

    commits: frozenset[Path]
    files: frozenset[Path]
    published: int
    held: int

    @classmethod
    def of(cls, platform: Platform) -> Footprint:
        """The present one."""
        lake, registry = platform.context.root / "lake", platform.context.registry
        published = sum(len(registry.publications(view)) for view in platform.definitions.views)
        commits, files = frozenset(lake.rglob("_delta_log/*.json")), frozenset(lake.rglob("part-*.parquet"))
        return cls(commits, files, published, len(registry.holds()))


def phase_of(platform: Platform, before: Footprint) -> str:
    """One of `PHASES`, from what has been left since `before`."""
    now = Footprint.of(platform)
    if any(is_interrupted(Gold.of(platform.context, view)) for view in platform.definitions.views.values()):
        return COMMITTED
    if _is_behind(platform):
        return PUBLISHED
    referenced = {name for path in now.commits - before.commits for name in _added(path)}
    if {path.name for path in now.files - before.files} - referenced:
        return WRITING
    return NOTHING if now == before else BETWEEN


def _is_behind(platform: Platform) -> bool:
    heads = ((p, read_head(platform.context.online, view)) for view, p in platform.context.registry.serving().items())
    return any(head is None or head.number != publication.number for publication, head in heads)


def _added(commit: Path) -> list[str]:
    actions = [json.loads(line) for line in commit.read_text().splitlines()]
    return [Path(action["add"]["path"]).name for action in actions if "add" in action]
