"""Mending the project's definitions as a team would: a transform that knows which phones report what."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from headrace import Platform
from headrace.errors import DefinitionError

_UNITS: Final = '''"""Which phones report in which units."""

from datetime import UTC, datetime
from typing import Any

import narwhals as nw

import headrace as hr


@hr.transform
def in_metres_a_second(pings: Any) -> Any:
    """Turn back what the app's update, on every second phone, reports in km/h."""
    in_kmh = (nw.col("driver_id") % 2 == 0) & (nw.col("ts") >= datetime({since}, tzinfo=UTC))
    speed = nw.col("speed_mps")
    return pings.with_columns(speed_mps=nw.when(in_kmh).then(speed / 3.6).otherwise(speed))
'''
_EDITS: Final = (
    ("from .transforms import at_pickup_cell, picked_up\n", "from .units import in_metres_a_second\n"),
    ("    entity=driver,\n    source=gps,\n", "    transform=in_metres_a_second,\n"),
)
"""Lines of features/views.py, and what is written behind them."""


def mend(platform: Platform, since: datetime) -> Platform:
    """Write the transform into the project's features, apply it, and open the project again."""
    features = platform.context.root / "features"
    hour = ", ".join(map(str, since.timetuple()[:4]))
    (features / "units.py").write_text(_UNITS.format(since=hour), encoding="utf-8")
    views = features / "views.py"
    text = views.read_text(encoding="utf-8")
    for lines, more in _EDITS:
        if text.count(lines) != 1:
            raise DefinitionError(f"{views}: the lines to mend are not there once:\n{lines}")
        text = text.replace(lines, lines + more)
    views.write_text(text, encoding="utf-8")
    mended = Platform.open(platform.context.root)
    mended.apply()
    return mended
