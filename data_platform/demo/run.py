"""The chapters in their order."""

from __future__ import annotations

import json
from pathlib import Path

from data_platform.demo.arriving import ArrivingDay
from data_platform.demo.asking import serving
from data_platform.demo.backfill import backfill
from data_platform.demo.explore import explore
from data_platform.demo.folder import OUTCOME, isolate, prepare
from data_platform.demo.ingest import ingest
from data_platform.demo.models import compare_models
from data_platform.demo.poisoned import poison
from data_platform.demo.serve import serve
from data_platform.demo.simulate import simulate
from data_platform.demo.taken_back import take_back
from data_platform.demo.telling import Teller
from data_platform.demo.training_sets import build_training_sets
from data_platform.demo.verify import verify
from headrace import Platform


def run_demo(directory: Path, days: int = 3, drivers: int = 400) -> None:
    """Simulate, compute, learn, serve, let things go wrong and right again, and leave the project.

    Its figures are in `outcome.json` of the project.

    Parameters
    ----------
    directory : Path
        The project's folder; what an earlier demo left there is made anew.
    days : int
        Simulated days, at least 2. The models learn from all but the last.
    drivers : int
        Drivers on the books.

    Raises
    ------
    SettingsError
        If the folder holds something else than a demo.
    """
    tell = Teller()
    isolate()
    root = prepare(directory)
    tell.title(f"headrace demo: six cities, {drivers:,} drivers, {days} days")
    outcome: dict[str, object] = {"days": days, "drivers": drivers}
    city, written = simulate(tell, root, days, drivers)
    platform = Platform.open(root)
    outcome["ingest"] = ingest(tell, platform, written)
    outcome["backfill"] = backfill(tell, platform)
    sets = build_training_sets(tell, platform, city, days)
    outcome["training_sets"] = sets.outcome
    outcome["models"] = compare_models(tell, platform, sets)
    with serving(root) as server:
        day = ArrivingDay(root, city, days)
        outcome["serve"] = serve(tell, platform, server, day)
        platform, outcome["poisoned"] = poison(tell, platform, server, day)
        outcome["taken_back"] = take_back(tell, platform, server, day)
    outcome["verify"] = verify(tell, platform)
    outcome["explore"] = explore(tell, root, sets.test, day)
    outcome["seconds"] = tell.seconds
    (root / OUTCOME).write_text(json.dumps(outcome, indent=2) + "\n", encoding="utf-8")
