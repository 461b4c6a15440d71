"""Chapter 5: the same model on both joins, and what it is worth once it serves."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score
from threadpoolctl import threadpool_limits

from data_platform.demo.leaking import final_rides, leaking_features
from data_platform.demo.telling import Teller
from data_platform.demo.training_sets import TrainingSets
from headrace import Platform

FEATURES: Final = (
    "driver_now__speed_mean_5m",
    "city_wait__wait_mean_5m",
    "driver_rating__rating_mean",
    "driver_wait__last_wait_s",
)

Scores = dict[str, float]


def compare_models(tell: Teller, platform: Platform, sets: TrainingSets) -> dict[str, Scores]:
    """Train both, and score each on its own join and on what is served."""
    with tell.chapter(
        "Models",
        "Will this rider be served late? One model learns from the join above, one from a join that leaks. Test: the "
        "last day by the model's own join. Served: the last day, with what is known at each request.",
    ):
        rides = final_rides(platform)
        leaking = {"train": leaking_features(sets.train, rides), "test": leaking_features(sets.test, rides)}
        right = _scores(sets.train, sets.test, served=sets.test)
        wrong = _scores(**leaking, served=sets.test)
        headings = ("learned from", "AUC: training", "test", "served", "log loss, served")
        tell.table(headings, [("point in time", *right.values()), ("leaking join", *wrong.values())])
        tell.say(
            f"The leak looks better even on a day it has not seen ({wrong['test_auc']:.2f}): the test leaks too. "
            f"Served, it falls to {wrong['served_auc']:.2f}; the honest model keeps {right['served_auc']:.2f}."
        )
    return {"point_in_time": right, "leaking": wrong}


def _scores(train: pl.DataFrame, test: pl.DataFrame, served: pl.DataFrame) -> Scores:
    model = HistGradientBoostingClassifier(max_iter=120, learning_rate=0.06, max_leaf_nodes=15, random_state=0)
    with threadpool_limits(1, user_api="openmp"):  # so few rows: threads that wait for each other cost more
        model.fit(_inputs(train), _late(train))
        found = {id(frame): model.predict_proba(_inputs(frame))[:, 1] for frame in (train, test, served)}
    return {
        "train_auc": float(roc_auc_score(_late(train), found[id(train)])),
        "test_auc": float(roc_auc_score(_late(test), found[id(test)])),
        "served_auc": float(roc_auc_score(_late(served), found[id(served)])),
        "served_log_loss": float(log_loss(_late(served), found[id(served)])),
    }


def _inputs(frame: pl.DataFrame) -> NDArray[np.float64]:
    return frame.select(pl.col(FEATURES).cast(pl.Float64).fill_null(float("nan"))).to_numpy()


def _late(frame: pl.DataFrame) -> NDArray[np.int8]:
    return frame["target"].to_numpy()
