"""Chapter 4: features joined to labels as they were known, checked against the simulator's truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from data_platform.demo.telling import Teller
from data_platform.demo.truth import speed_differs
from data_platform.simulator import City
from headrace import Platform

SERVICE: Final = "lateness_model"
CHECKED: Final = 2_000


@dataclass(frozen=True, slots=True)
class TrainingSets:
    """Labels with their features.

    Attributes
    ----------
    train : polars.DataFrame
        Of all days but the last.
    test : polars.DataFrame
        Of the last day: what a perfect server would have answered at each request.
    outcome : dict
        Figures of the chapter.
    """

    train: pl.DataFrame
    test: pl.DataFrame
    outcome: dict[str, int]


def build_training_sets(tell: Teller, platform: Platform, city: City, days: int) -> TrainingSets:
    """Build both, and recompute some values from the truth."""
    root = platform.context.root
    with tell.chapter(
        "Training sets", "At each request: what was known then of the driver and the city, and nothing later."
    ):
        train = platform.training_set(_labels(root, city, range(days - 1)), SERVICE, to=root / "training_sets/train")
        test = platform.training_set(_labels(root, city, [days - 1]), SERVICE, to=root / "training_sets/test")
        sample = test.sample(min(CHECKED, len(test)), seed=1)
        differs = speed_differs(root, sample)
        tell.say(
            f"{len(train):,} labels to learn from and {len(test):,} to test on, {train['target'].mean():.0%} of the "
            f"riders late. The mean speed over 5 minutes, recomputed from the true pings at {len(sample):,} requests: "
            f"{differs} differ."
        )
    return TrainingSets(
        train, test, {"train": len(train), "test": len(test), "checked": len(sample), "differing": differs}
    )


def _labels(root: Path, city: City, days: range | list[int]) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(root / f"labels/labels_{city.date(day)}.parquet") for day in days])
