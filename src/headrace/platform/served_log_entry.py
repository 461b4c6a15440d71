"""One answer as the log of what was served is given it: nothing is copied, all of it is what the server has anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from headrace.definitions.services import FeatureService
    from headrace.platform.online_answer import OnlineAnswer


class ServedEntry(msgspec.Struct, frozen=True, gc=False):
    """A request and its answer.

    Parameters
    ----------
    service : FeatureService
        What was asked for, as the reader resolved it.
    answer : OnlineAnswer
        What was answered.
    request_id : str
        The request's; the same id is always sampled or never.
    answered_us : int
        When the answer was made, in microseconds UTC by the machine's own clock. It is compared with the time that
        the answer is of: one that lies elsewhere tells a clock that is wrong.
    caller : str
        Who asked; empty where nobody has to say.
    is_stale : bool
        Whether some of it comes from records that were read earlier, as the store could not be read.
    is_present : bool
        Whether it is of the time of the request; False where the caller asked for another time (``at=``), which is
        nothing that a training set is compared with.
    """

    service: FeatureService
    answer: OnlineAnswer
    request_id: str
    answered_us: int
    caller: str = ""
    is_stale: bool = False
    is_present: bool = True

    @property
    def values(self) -> int:
        """How many values were answered."""
        return len(self.answer.rows) * len(self.answer.types)
