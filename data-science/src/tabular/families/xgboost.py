"""XGBoost: gradient boosting with histogram trees (Chen and Guestrin 2016), which parts the levels of a category as it needs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..imports import without
from ..trees import Transform, Tree, Trees
from . import MOST_TREES, PATIENCE, Budget, Table, TrainingData, transformed

with without("sklearn", "pandas", "pyarrow", "dask", "matplotlib", "graphviz"):
    import xgboost

_FILE = "xgboost.ubj"
_LEVEL: Final = "c"
"""XGBoost's word for a feature that is the number of a level."""
_NO_LEVEL: Final = -1
"""The recipe's code for a level that it does not know."""
_TRANSFORMS: dict[str, Transform] = {"binary:logistic": "sigmoid", "multi:softprob": "softmax"}


class XGBoost:
    """A trained booster."""

    family = "xgboost"

    weights = 0

    def __init__(self, booster: xgboost.Booster) -> None:
        self._booster = booster
        learner = json.loads(bytes(booster.save_raw(raw_format="json")))["learner"]
        self._learner: dict[str, Any] = learner
        self.size = len(learner["gradient_booster"]["model"]["trees"])
        self.rounds = booster.num_boosted_rounds()
        self.leaves = sum((len(tree["left_children"]) + 1) // 2 for tree in learner["gradient_booster"]["model"]["trees"])
        self.transform: Transform = _TRANSFORMS.get(learner["objective"]["name"], "identity")
        self._categorical = [number for number, kind in enumerate(booster.feature_types or ()) if kind == _LEVEL]

    def raw(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.raw`."""
        features = _levels(features, self._categorical)
        found = np.asarray(self._booster.inplace_predict(features, predict_type="margin"), dtype=np.float64)
        return found if found.ndim == 2 else found[:, None]

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """See `Model.predict`."""
        return transformed(self.raw(features), self.transform)

    def form(self) -> Trees:
        """See `Model.form`."""
        learner = self._learner
        parameters = learner["learner_model_param"]
        outputs = max(1, int(parameters["num_class"]))
        # One number in old versions, a list in new ones; kept as a probability for the logistic objective.
        base = np.atleast_1d(np.asarray(json.loads(parameters["base_score"]), dtype=np.float64))
        base = np.broadcast_to(base, (outputs,)).copy()
        if self.transform == "sigmoid":
            base = np.log(base / (1 - base))
        model = learner["gradient_booster"]["model"]
        trees = Trees(int(parameters["num_feature"]), outputs, "BRANCH_LT", self.transform, base)
        trees.trees = [_tree(tree, int(output)) for output, tree in zip(model["tree_info"], model["trees"], strict=True)]
        return trees

    def save(self, folder: Path) -> None:
        """See `Model.save`."""
        self._booster.save_model(str(folder / _FILE))


def _tree(tree: dict[str, Any], output: int) -> Tree:
    left, right = (np.array(tree[f"{side}_children"], dtype=np.int64) for side in ("left", "right"))
    conditions = np.array(tree["split_conditions"], dtype=np.float32)
    leaf = left == -1
    # Inner nodes and leaves are numbered together there, and apart in `Tree`.
    number = np.where(leaf, -np.cumsum(leaf), np.cumsum(~leaf) - 1)
    inner = ~leaf
    true, false = number[left[inner]], number[right[inner]]
    feature = np.array(tree["split_indices"], dtype=np.int64)[inner]
    missing = np.array(tree["default_left"], dtype=np.bool_)[inner]
    sets = {}
    for node, start, size in zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True):
        # What is in a set goes right there, and what is in none left, other than a missing one.
        place = int(number[node])
        true[place], false[place] = false[place], true[place]
        missing[place] = not missing[place]
        sets[place] = [*tree["categories"][start : start + size], *([_NO_LEVEL] if missing[place] else [])]
    return Tree(feature, conditions[inner], true, false, missing, conditions[leaf].astype(np.float64), output, sets)


def _levels(features: NDArray[np.float32], categorical: list[int]) -> NDArray[np.float32]:
    """The features with the code of no level as a missing value: XGBoost refuses a level below 0."""
    none = features[:, categorical] == _NO_LEVEL
    if not none.any():
        return features
    features = features.copy()
    features[:, categorical] = np.where(none, np.float32(np.nan), features[:, categorical])
    return features


class _Deadline(xgboost.callback.TrainingCallback):  # type: ignore[misc] # XGBoost has no types
    def __init__(self, deadline: float | None) -> None:
        super().__init__()
        self._deadline = deadline

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - XGBoost's signature
        """Whether to stop."""
        return self._deadline is not None and time.monotonic() > self._deadline


def fit(data: TrainingData, settings: dict[str, Any], budget: Budget) -> XGBoost:
    """Train until the validation error stops falling, or the deadline, or the trees that the budget says."""
    objective = {"regression": "reg:squarederror"}.get(data.task, "binary:logistic" if data.classes == 2 else "multi:softprob")
    if data.absolute:
        objective = "reg:absoluteerror"
    settings = dict(settings)
    parameters = {
        "objective": objective,
        "tree_method": "hist",
        "nthread": budget.threads,
        "seed": budget.seed,
        "verbosity": 0,
        "eta": settings.pop("learning_rate", 0.06),
        **({"num_class": data.classes} if data.classes > 2 else {}),
        **settings,
    }
    kinds = [_LEVEL if column in data.categorical else "q" for column in range(data.train.features.shape[1])]

    def matrix(kind: Any, rows: Table) -> Any:
        features = _levels(rows.features, list(data.categorical))
        return kind(features, rows.target, weight=rows.weights, nthread=budget.threads, feature_types=kinds, enable_categorical=True)

    train = matrix(xgboost.QuantileDMatrix, data.train)
    callbacks: list[Any] = [_Deadline(budget.deadline)]
    watched = []
    if budget.trees is None:
        watched = [(matrix(xgboost.DMatrix, data.validation), "validation")]
        callbacks.append(xgboost.callback.EarlyStopping(rounds=PATIENCE, save_best=False))
    booster = xgboost.train(parameters, train, budget.trees or MOST_TREES, evals=watched, verbose_eval=False, callbacks=callbacks)
    best = booster.attr("best_iteration")
    if best is not None and int(best) + 1 < booster.num_boosted_rounds():
        booster = booster[: int(best) + 1]
    return XGBoost(booster)


def load(folder: Path) -> XGBoost:
    """What `XGBoost.save` wrote."""
    booster = xgboost.Booster()
    booster.load_model(str(folder / _FILE))
    return XGBoost(booster)
