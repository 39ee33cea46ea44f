"""XGBoost: gradient boosting with histogram trees (Chen and Guestrin 2016)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imports import without
from ..trees import Trees
from . import Budget, TrainingData, two_columns

with without("sklearn", "pandas", "pyarrow", "dask", "matplotlib", "graphviz"):
    import xgboost

_PATIENCE = 60
_MOST_TREES = 3_000
_FILE = "xgboost.ubj"


class XGBoost:
    """A trained booster."""

    family = "xgboost"

    def __init__(self, booster: xgboost.Booster) -> None:
        self._booster = booster
        learner = json.loads(bytes(booster.save_raw(raw_format="json")))["learner"]
        self._learner: dict[str, Any] = learner
        self.size = len(learner["gradient_booster"]["model"]["trees"])

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.predict`."""
        result = np.asarray(self._booster.inplace_predict(features), dtype=np.float64)
        return two_columns(result) if self._learner["objective"]["name"] == "binary:logistic" else result

    def trees(self) -> Trees:
        """See `Model.trees`."""
        learner = self._learner
        parameters = learner["learner_model_param"]
        objective = learner["objective"]["name"]
        transform: Any = {"binary:logistic": "sigmoid", "multi:softprob": "softmax"}.get(objective, "identity")
        outputs = max(1, int(parameters["num_class"]))
        # One number in old versions, a list in new ones; kept as a probability for the logistic objective.
        base = np.atleast_1d(np.asarray(json.loads(parameters["base_score"]), dtype=np.float64))
        base = np.broadcast_to(base, (outputs,)).copy()
        if objective == "binary:logistic":
            base = np.log(base / (1 - base))
        model = learner["gradient_booster"]["model"]
        trees = Trees(int(parameters["num_feature"]), outputs, "BRANCH_LT", transform, base)
        for output, tree in zip(model["tree_info"], model["trees"], strict=True):
            trees.begin_tree()
            for node, (left, right) in enumerate(zip(tree["left_children"], tree["right_children"], strict=True)):
                condition = float(np.float32(tree["split_conditions"][node]))
                if left == -1:
                    trees.add_leaf(node, {output: condition})
                else:
                    missing = bool(tree["default_left"][node])
                    trees.add_split(node, tree["split_indices"][node], condition, left, right, missing_true=missing)
        return trees

    def save(self, folder: Path) -> None:
        """See `Model.save`."""
        self._booster.save_model(str(folder / _FILE))


def settings(random: np.random.Generator, metric: str, trial: int) -> dict[str, Any]:
    """Hyperparameters of a trial."""
    loss = {"objective": "reg:absoluteerror"} if metric in ("mae", "median_absolute_error") else {}
    if trial == 0:
        return {**loss, "eta": 0.06, "max_depth": 6, "min_child_weight": 5.0, "subsample": 0.8, "colsample_bytree": 0.8}
    return {
        **loss,
        "eta": float(10 ** random.uniform(-1.7, -0.9)),
        "max_depth": int(random.integers(3, 10)),
        "min_child_weight": float(10 ** random.uniform(0, 2)),
        "subsample": float(random.uniform(0.6, 1)),
        "colsample_bytree": float(random.uniform(0.4, 1)),
        "lambda": float(10 ** random.uniform(-1, 1.5)),
    }


class _Deadline(xgboost.callback.TrainingCallback):  # type: ignore[misc] # XGBoost has no types
    def __init__(self, deadline: float | None) -> None:
        super().__init__()
        self._deadline = deadline

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - XGBoost's signature
        """Whether to stop."""
        return self._deadline is not None and time.monotonic() > self._deadline


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> XGBoost:
    """Train until the validation error stops falling or the deadline."""
    objective = {"regression": "reg:squarederror"}.get(data.task, "binary:logistic" if data.classes == 2 else "multi:softprob")
    parameters = {
        "objective": objective,
        "tree_method": "hist",
        "nthread": budget.threads,
        "seed": budget.seed,
        "verbosity": 0,
        **({"num_class": data.classes} if data.classes > 2 else {}),
        **settings,
    }
    train = xgboost.QuantileDMatrix(data.train.features, data.train.target, nthread=budget.threads)
    watch = xgboost.DMatrix(data.validation.features, data.validation.target, nthread=budget.threads)
    stopping = xgboost.callback.EarlyStopping(rounds=_PATIENCE, save_best=True)
    booster = xgboost.train(
        parameters,
        train,
        _MOST_TREES,
        evals=[(watch, "validation")],
        verbose_eval=False,
        callbacks=[_Deadline(budget.deadline), stopping],
    )
    best = booster.attr("best_iteration")
    if best is not None and int(best) + 1 < booster.num_boosted_rounds():
        booster = booster[: int(best) + 1]
    return XGBoost(booster)


def load(folder: Path) -> XGBoost:
    """What `XGBoost.save` wrote."""
    booster = xgboost.Booster()
    booster.load_model(str(folder / _FILE))
    return XGBoost(booster)
