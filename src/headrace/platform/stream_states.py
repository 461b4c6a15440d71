"""What a stream remembers, on disk: snapshots as of an epoch, several kept, each whole or not there at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from headrace.errors import LakeError
from headrace.lake.states import save_state, saved_states
from headrace.streaming.identities import Identities
from headrace.streaming.lane import Lane
from headrace.timeline.watermarks import Watermarks

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.lake.states import SavedState

KEEP: Final = 3
FORMAT: Final = 1
_IDS: Final = "identities"


@dataclass(frozen=True, slots=True)
class State:
    """All that a stream remembers after an epoch.

    Parameters
    ----------
    epoch : int
        The epoch.
    positions : mapping of str to int
        The offset to be read next in each partition.
    marks : Watermarks
        How far it has come.
    identities : Identities
        Which rows came lately.
    lanes : tuple of Lane
        One a view.
    meaning : str
        A digest of what its source's rows mean.
    """

    epoch: int
    positions: Mapping[str, int]
    marks: Watermarks
    identities: Identities
    lanes: tuple[Lane, ...]
    meaning: str = ""

    @property
    def ahead(self) -> int:
        """From when on what is served tells of every row that was read."""
        instants = [lane.carry.until for lane in self.lanes if lane.carry is not None and not lane.paused]
        return max([self.marks.cut, *instants])

    @property
    def state_bytes(self) -> int:
        """What it takes in memory."""
        seen = self.identities.seen
        return sum(lane.state_bytes for lane in self.lanes) + (0 if seen is None else int(seen.estimated_size()))


def save(folder: Path, state: State, *, anew: bool = False) -> None:
    """Save a snapshot, and forget the oldest beyond `KEEP`.

    Parameters
    ----------
    folder : Path
        Where snapshots are.
    state : State
        What is remembered.
    anew : bool
        Whether it differs from another one after the same epoch, because views began again.
    """
    name = f"{state.epoch:012d}"
    if anew:
        name += f".{sum(int(saved.note['epoch']) == state.epoch for saved in saved_states(folder)):03d}"
    frames = {f"{lane.view.name}~{name}": frame for lane in state.lanes for name, frame in lane.frames().items()}
    if state.identities.seen is not None:
        frames[_IDS] = state.identities.seen
    marks = {"reached": state.marks.reached, "active_at": state.marks.active_at, "cut": state.marks.cut}
    lanes = {lane.view.name: lane.note() for lane in state.lanes}
    note = {"format": FORMAT, "epoch": state.epoch, "positions": state.positions, "marks": marks, "lanes": lanes}
    note["meaning"] = state.meaning
    save_state(folder, name, frames, note)
    for old in saved_states(folder)[:-KEEP]:
        old.delete()


def oldest_epoch(folder: Path) -> int:
    """The epoch of the oldest snapshot that is kept; 0 without one."""
    return min((int(saved.note["epoch"]) for saved in saved_states(folder)), default=0)


def newest(folder: Path, identities: Identities, lanes: Sequence[Lane]) -> tuple[State | None, list[str]]:
    """The newest snapshot that can be read, and what was wrong with newer ones.

    A lane whose definition is not the one of the snapshot is left out: it has to begin anew.
    """
    troubles: list[str] = []
    for saved in reversed(saved_states(folder)):
        try:
            return _state(saved, identities, lanes), troubles
        except LakeError as error:
            troubles.append(str(error))
            saved.delete()
    return None, troubles


def noted_instants(folder: Path) -> tuple[int, int]:
    """The cut of the newest snapshot, and the furthest instant that a view has reached in it; 0 without one."""
    saved = saved_states(folder)
    if not saved:
        return 0, 0
    note = saved[-1].note
    cut = int(note["marks"]["cut"])
    return cut, max([cut, *(int(lane["until"]) for lane in note["lanes"].values() if "until" in lane)])


def noted_lanes(folder: Path, lanes: Sequence[Lane]) -> list[Lane]:
    """Lanes as the newest snapshot has them, without what is remembered of entities: also of other definitions."""
    saved = saved_states(folder)
    notes: dict[str, Any] = saved[-1].note["lanes"] if saved else {}
    return [
        replace(lane.restored({}, note), fingerprint=note["fingerprint"])
        for lane in lanes
        if (note := notes.get(lane.view.name)) is not None
    ]


def _state(saved: SavedState, identities: Identities, lanes: Sequence[Lane]) -> State:
    note: dict[str, Any] = saved.note
    if note.get("format") != FORMAT:
        raise LakeError(f"{saved.path}: it was written in format {note.get('format')!r}; this version reads {FORMAT}.")
    frames, notes = saved.frames(), note["lanes"]
    known = [lane for lane in lanes if notes.get(lane.view.name, {}).get("fingerprint") == lane.fingerprint]
    restored = tuple(lane.restored(_of(frames, lane), notes[lane.view.name]) for lane in known)
    ids = Identities(identities.columns, identities.within_us, frames.get(_IDS))
    return State(note["epoch"], note["positions"], Watermarks(**note["marks"]), ids, restored, note["meaning"])


def _of(frames: Mapping[str, pl.DataFrame], lane: Lane) -> dict[str, pl.DataFrame]:
    prefix = f"{lane.view.name}~"
    return {name.removeprefix(prefix): frame for name, frame in frames.items() if name.startswith(prefix)}
