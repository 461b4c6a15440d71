"""A new project: twenty lines of definitions and a day of made-up data, ready to run."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from headrace.errors import SettingsError
from headrace.platform.settings import FILE_NAME

_SETTINGS = """\
name = {name}
module = "features"                   # features.py, beside this file
lake = "./lake"                       # a folder of this machine
online = "lmdb:./online"
registry = "sqlite:///registry.db"    # or postgresql://host/name
# Each can be set in the environment instead: HEADRACE_LAKE and so on. Passwords only there.
"""

_FEATURES = '''\
"""The feature definitions of this project."""

import headrace as hr

driver = hr.Entity("driver", keys={"driver_id": hr.Int64})

pings = hr.EventSource(
    "pings",
    schema={
        "ping_id": hr.String,
        "driver_id": hr.Int64,
        "ts": hr.Timestamp,
        "speed_mps": hr.Float64,
        "status": hr.String,
    },
    event_time="ts",
    dedupe_on="ping_id",
    complete_from="2026-01-05",
    contract=[hr.check.between("speed_mps", 0, 70), hr.check.is_in("status", ["free", "busy"])],
    batch=hr.Files("landing/pings-*.csv"),
)

driver_now = hr.FeatureView(
    "driver_now",
    entity=driver,
    source=pings,
    ttl="1h",
    features={
        "last_ping": hr.last("ts"),
        "status": hr.last("status"),
        "speed_mean_30m": hr.mean("speed_mps", window=hr.sliding("30m", hop="5m")),
        "pings_1h": hr.count(window=hr.tumbling("1h")),
    },
)

eta_model = hr.FeatureService("eta_model", features=[driver_now])
'''

_IGNORED = "lake/\nonline/\nregistry.db*\n__pycache__/\nkeys.json\n.keys.json.lock\naudit/\n"
_DAY = datetime(2026, 1, 5, tzinfo=UTC)
_DRIVERS = (101, 102, 103)


def init(directory: Path) -> tuple[Path, ...]:
    """Write a new project; what is there already is left alone.

    Parameters
    ----------
    directory : Path
        Made if it does not exist.

    Returns
    -------
    tuple of Path
        The files that were written.

    Raises
    ------
    SettingsError
        If one of the files exists already, or can't be written.
    """
    files = {
        FILE_NAME: _SETTINGS.format(name=json.dumps(directory.resolve().name, ensure_ascii=False)),
        "features.py": _FEATURES,
        "landing/pings-2026-01-05.csv": _pings(),
        "labels.csv": _labels(),
        ".gitignore": _IGNORED,
    }
    taken = [name for name in files if (directory / name).exists()]
    if taken:
        raise SettingsError(f"{directory} already has {', '.join(taken)}. Choose another folder, or remove them.")
    try:
        for name, text in files.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{directory} can't be written: {error.strerror}.") from error
    return tuple(directory / name for name in files)


def _pings() -> str:
    lines = ["ping_id,driver_id,ts,speed_mps,status"]
    for index in range(12 * 24):  # one in five minutes
        driver = _DRIVERS[index % len(_DRIVERS)]
        time = _DAY + timedelta(minutes=5 * index, seconds=driver % 60)
        speed = (index * 37 + driver) % 200 / 10
        status = "busy" if index // 9 % 2 else "free"
        lines.append(f"p{index:04d},{driver},{time:%Y-%m-%dT%H:%M:%SZ},{speed},{status}")
    return "\n".join(lines) + "\n"


def _labels() -> str:
    times = [_DAY + timedelta(hours=hour, minutes=30) for hour in range(6, 18)]
    rows = [f"{_DRIVERS[i % 3]},{time:%Y-%m-%dT%H:%M:%SZ},{300 + 17 * i}" for i, time in enumerate(times)]
    return "\n".join(["driver_id,label_time,eta_seconds", *rows]) + "\n"
