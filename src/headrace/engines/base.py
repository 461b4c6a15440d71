"""What an engine does: from silver rows to steps, some span of time after the other.

An engine reads the rows that became known in ``[since, until)``, and what it carries from before,
and returns the steps in that span with what the next span needs. Spans of any length give the
same values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import polars as pl

from headrace.definitions.views import FeatureView

Known = Literal["then", "now"]


@dataclass(frozen=True, slots=True)
class Carry:
    """What a view must remember at an instant to go on from there.

    Parameters
    ----------
    until : int
        The instant, in microseconds.
    rows : frame, optional
        Rows still needed one by one: those that may be picked by `last` or `first`, and for
        sources whose rows can be updated or deleted all live ones.
    elements : mapping of str to frame
        For each other feature, the merged state of rows that count beyond the instant: keys, the
        interval of times at which it counts, and the aggregate's own columns.
    log : frame, optional
        For change and snapshot sources, the primary keys of the live rows.
    seen : frame, optional
        For these sources, the keys of the entities that ever had a row.
    next_row_id : int
        For these sources, the number of entries read so far.
    corrected : frame, optional
        For streams, the keys of the entities that have a step at the instant itself because something of them came
        late: where the next span begins at the same instant, it has to give that step too.
    """

    until: int
    rows: pl.DataFrame | None = None
    elements: dict[str, pl.DataFrame] = field(default_factory=dict)
    log: pl.DataFrame | None = None
    seen: pl.DataFrame | None = None
    next_row_id: int = 0
    corrected: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class Computed:
    """The outcome for one span of time.

    Parameters
    ----------
    steps : frame
        The entity's keys, ``valid_from``, ``event_time`` and a column a feature; sorted by keys and
        ``valid_from``.
    carry : Carry
        What the next span needs.
    non_finite : mapping of str to int
        How many NaN or infinite values a column had, which count as null.
    """

    steps: pl.DataFrame
    carry: Carry
    non_finite: dict[str, int]


@dataclass(frozen=True, slots=True)
class Asked:
    """For which time steps are asked.

    Parameters
    ----------
    since : int
        From when on, in microseconds.
    until : int
        Where the next span begins: what counts from then on is carried.
    horizon : int
        Until when steps are wanted: those from `until` on are scheduled, and hold unless something new arrives.
    opening : bool
        Also give each entity that is known by `since` a step there.
    steps : bool
        Whether steps are wanted at all, or only the carry.
    """

    since: int
    until: int
    horizon: int
    opening: bool = False
    steps: bool = True


@dataclass(frozen=True, slots=True)
class Advanced:
    """What became of the entities to which something happened.

    Parameters
    ----------
    steps : frame
        As of `Computed`, through the horizon.
    carry : Carry
        Of all entities.
    elements : mapping of str to frame
        What is carried of the entities in `steps`, as of `Carry`.
    touched : frame
        The keys of the entities to which something happened, each once; for a global view a column of its own with
        a row if something did.
    non_finite : mapping of str to int
        NaN and infinite values of the new rows, by column.
    """

    steps: pl.DataFrame
    carry: Carry
    elements: dict[str, pl.DataFrame]
    touched: pl.DataFrame
    non_finite: dict[str, int]


class Engine(Protocol):
    """Computes a view's steps."""

    def advance(
        self,
        view: FeatureView,
        silver: pl.DataFrame,
        carry: Carry | None,
        asked: Asked,
        *,
        everyone: bool = False,
    ) -> Advanced:
        """Go on from a carry with new rows, looking only at the entities that they are about.

        The others' state stays as it is: what is scheduled for them comes without it being looked at.

        Parameters
        ----------
        view : FeatureView
            The view.
        silver : frame
            New rows, whenever they count: of a row that counted before the carry's instant the steps before that
            are not given, as what else counted then is not known any more. Its entity gets one at the instant.
        carry : Carry or None
            What is remembered; None at the beginning.
        asked : Asked
            For which time; ``asked.until`` is the instant of the new carry.
        everyone : bool
            Look at all entities, so that each step in ``[since, until)`` is given whoever it is about.
        """
        ...

    def compute(
        self,
        view: FeatureView,
        silver: pl.DataFrame,
        carry: Carry | None,
        since: int,
        until: int,
        *,
        known: Known = "then",
        opening: bool = False,
        steps: bool = True,
    ) -> Computed:
        """Compute the steps of a view within ``[since, until)``.

        Parameters
        ----------
        view : FeatureView
            The view.
        silver : frame
            Rows of the source's silver table that became known in the span, with headrace's columns.
        carry : Carry or None
            What was carried from before; None at the beginning.
        since, until : int
            The span, in microseconds.
        known : str
            ``"then"`` uses the time at which rows became known, ``"now"`` only that at which they happened.
        opening : bool
            Also give each known entity a step at `since`: where a table of steps begins there.
        steps : bool
            Whether steps are wanted at all, or only the carry.
        """
        ...
