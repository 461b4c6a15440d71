"""Chapter 5: the same model on both joins, and what it is worth once it serves."""

from __future__ import annotations

from typing import Final

import polars as pl
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score

from data_platform.demo.leaking import final_rides, leaking_features
from data_platform.demo.telling import Teller
from data_platform.demo.training_sets import TrainingSets
from headrace import Platform

FEATURES: Final = (
    "driver_now__speed_mean_5m", "city_wait__wait_mean_5m", "driver_rating__rating_mean", "driver_wait__last_wait_s",
)  # fmt: skip
SEED: Final = 0

Scores = dict[str, float]


def compare_models(tell: Teller, platform: Platform, sets: TrainingSets) -> dict[str, Scores]:
    """Train both, and score each on its own join and on what is served."""
    with tell.chapter(
        "Models", "Will this rider be served late? One model learns from the join above, one from a join that leaks."
    ):
        rides = final_rides(platform)
        scores = {
            "point-in-time": _scores(sets.train, sets.test, served=sets.test),
            "leaking": _scores(
                leaking_features(sets.train, rides), leaking_features(sets.test, rides), served=sets.test
            ),
        }
        headings = ("join", "AUC in training", "AUC on the next day, same join", "AUC served", "log loss served")
        tell.table(headings, [(name, *found.values()) for name, found in scores.items()])
        right, wrong = scores["point-in-time"], scores["leaking"]
        tell.say(
            f"The leaking model looks better even on a day it has not seen ({wrong['test_auc']:.2f}), as the test leaks "
            f"too. Served what is known at the request it falls to {wrong['served_auc']:.2f}; the honest one keeps "
            f"{right['served_auc']:.2f}."
        )
    return scores


def _scores(train: pl.DataFrame, test: pl.DataFrame, served: pl.DataFrame) -> Scores:
    model = HistGradientBoostingClassifier(max_iter=120, learning_rate=0.06, max_leaf_nodes=15, random_state=SEED)
    model.fit(_inputs(train), train["target"].to_numpy())

    def probability(of: pl.DataFrame) -> object:
        return model.predict_proba(_inputs(of))[:, 1]

    truth = served["target"].to_numpy()
    return {
        "train_auc": float(roc_auc_score(train["target"].to_numpy(), probability(train))),
        "test_auc": float(roc_auc_score(test["target"].to_numpy(), probability(test))),
        "served_auc": float(roc_auc_score(truth, probability(served))),
        "served_log_loss": float(log_loss(truth, probability(served))),
    }


def _inputs(frame: pl.DataFrame) -> object:
    return frame.select(pl.col(FEATURES).cast(pl.Float64).fill_null(float("nan"))).to_numpy()
